// Reads libs/link/vectors/*.txt: frames as bytes and in words, one truth for every codec, the docs and other languages.
//
//   # comment
//   vector: switch VBUS of slot 7 on             a sentence
//   wire: 00 05 01 02 ...                        the bytes on the line, both zeros included; more lines continue it
//   human: -> command #12 ...                    what Describe prints; ParseHuman and EncodeFrame give the bytes again
//   outcome: bad_crc                             in place of human: what the frame decoder says instead of a frame
//
// A human line with "undecodable:" is a frame whose payload the message decoder refuses. Host only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace faraday::link {

struct Vector {
  std::string where;  // "hello.txt:3"
  std::string sentence;
  std::vector<uint8_t> wire;
  std::string human;  // empty when `outcome` is set
  std::string outcome;
};

// Errors: kNotFound no such file, kInvalidArgument with file and line.
Result<std::vector<Vector>> ReadVectors(const std::string& path);

}  // namespace faraday::link
