# Language level, warnings and sanitizers for everything below.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
if(NOT CMAKE_SYSTEM_NAME STREQUAL "Generic")
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
endif()

set(FARADAY_SANITIZE "" CACHE STRING "Comma-separated sanitizers for host code, empty for none")
option(FARADAY_FUZZ "Build the libFuzzer targets (needs clang)" OFF)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

# -O1 -g1: sanitizer reports keep their lines while a two-core machine still builds in minutes (chosen).
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1")
set(CMAKE_CXX_FLAGS_RELEASE "-O2")

# Flags for our own code; generated code is compiled without them (see faraday_module).
add_library(faraday_flags INTERFACE)
target_compile_options(faraday_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast)
# GCC 12 at -O2 and above warns of library innards that are sound (maybe-uninitialized, restrict); the other builds are strict.
if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(faraday_flags INTERFACE -Werror)
endif()
target_include_directories(faraday_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/libs)
if(FARADAY_SANITIZE)
  target_compile_options(faraday_flags INTERFACE
    -fsanitize=${FARADAY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${FARADAY_SANITIZE})
endif()
# In front of what a test preloads (LD_PRELOAD): a sanitizer's runtime must come first. Empty, or a path and a colon.
set(FARADAY_SANITIZER_RUNTIME "")
if(FARADAY_SANITIZE MATCHES "(address|thread)" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  string(SUBSTRING ${CMAKE_MATCH_1} 0 1 letter)
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=lib${letter}san.so
    OUTPUT_VARIABLE FARADAY_SANITIZER_RUNTIME OUTPUT_STRIP_TRAILING_WHITESPACE)
  string(APPEND FARADAY_SANITIZER_RUNTIME ":")
endif()
# libFuzzer sees the coverage of all our code; the targets themselves link its main (see faraday_fuzz).
if(FARADAY_FUZZ)
  target_compile_options(faraday_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
