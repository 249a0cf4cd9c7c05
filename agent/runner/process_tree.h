// Everything that descends from this process, double-forked children included: PR_SET_CHILD_SUBREAPER makes the
// orphans ours, /proc tells who they are. For faraday-runner only; one thread.
#pragma once

#include <sys/types.h>

#include <vector>

#include "base/clock.h"

namespace faraday::agent {

// Orphaned descendants become children of this process from now on.
void BecomeSubreaper();
// All living descendants, nearest first. Zombies are left out.
std::vector<pid_t> Descendants();
// Signals each descendant once.
void SignalTree(int signo);
// SIGKILLs and reaps until nothing is left or `patience` is over (a process in uninterruptible sleep). True: nothing is
// left.
bool KillTree(Milliseconds patience);

}  // namespace faraday::agent
