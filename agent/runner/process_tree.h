// Everything that descends from this process, double-forked children included: PR_SET_CHILD_SUBREAPER makes the
// orphans ours, /proc tells who they are. For faraday-runner, and for the agent, who sweeps up after a killed one; one
// thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <vector>

#include "base/clock.h"

namespace faraday::agent {

// Orphaned descendants become children of this process from now on.
void BecomeSubreaper();
bool IsSubreaper();
// All descendants, nearest first. Zombies too: a process whose first thread has ended lives on in the others.
std::vector<pid_t> Descendants();
// Signals each descendant once.
void SignalTree(int signo);
// SIGKILLs and reaps until nothing is left or `patience` is over (a process in uninterruptible sleep). True: nothing is
// left.
bool KillTree(Milliseconds patience);
// SIGKILLs the children that `spared` does not name, with all that descends from them, and reaps what has ended; again
// until none is left or `patience` is over. True: none is left.
bool KillChildrenBut(const std::function<bool(pid_t)>& spared, Milliseconds patience);

}  // namespace faraday::agent
