// What `run` and `job submit` share: the arguments that describe a job, and the spec made of them.
#pragma once

#include <vector>

#include "cli/session.h"

namespace faraday::cli {

// -l, --timeout, --queue-timeout, --artifact, --junit, --env, --note.
std::vector<Argument> JobArguments();
// Errors: kInvalidArgument that names the option.
Result<v1::JobSpec> MakeJobSpec(const Invocation& invocation);
// Sends it, with a key that makes repeats harmless. An unreachable lab fails at once.
Result<v1::Job> SubmitJob(Session& session, const v1::JobSpec& spec);

}  // namespace faraday::cli
