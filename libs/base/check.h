// FARADAY_CHECK: a broken invariant of our own ends the program with file, line and the condition.
// For input from wire, disk or people use Status instead. Host only; the firmware has its own fault path.
#pragma once

#include <cstdio>
#include <cstdlib>

#define FARADAY_CHECK(condition)                                                                \
  do {                                                                                          \
    if (!(condition)) {                                                                         \
      std::fprintf(stderr, "<2>%s:%d: broken invariant: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                             \
    }                                                                                           \
  } while (false)
