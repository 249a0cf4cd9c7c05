// A TCP connection that says what it likes. Nothing here blocks for long.
#pragma once

#include <string>
#include <string_view>

namespace faraday::hil {

class RawPeer {
 public:
  // Begins to connect to "tcp://127.0.0.1:PORT".
  explicit RawPeer(const std::string& endpoint);
  ~RawPeer();
  RawPeer(RawPeer&& other) noexcept;
  RawPeer& operator=(RawPeer&& other) noexcept;

  // False when the other side has ended it, or there was no file for it.
  bool open() const;
  // Returns how many bytes went.
  size_t Send(std::string_view bytes);
  // What came, at once; waits at most `wait_ms` for something.
  std::string Read(int wait_ms);

 private:
  int fd_ = -1;
};

// What a real client with these keys says on the wire when it makes one call: listens between it and the server.
// REQUIRES: the bytes are for replay; `call` connects to the endpoint that it is given.
std::string Record(const std::string& server, void (*call)(const std::string& endpoint, void* context), void* context);

}  // namespace faraday::hil
