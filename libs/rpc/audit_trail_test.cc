#include "rpc/audit_trail.h"

#include <gtest/gtest.h>
