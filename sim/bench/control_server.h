// The control socket: a unix stream where each line is a command and each command gets one line, "ok ..." or
// "error ...". Lives in the loop's thread; knows nothing of what the commands do.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/status.h"
#include "evloop/loop.h"

namespace faraday::sim {

class ControlServer {
 public:
  // Gives the answer's line, without its end.
  using Handler = std::function<std::string(const std::string& line)>;

  ControlServer(evloop::Loop& loop, Handler handler) : loop_(loop), handler_(std::move(handler)) {}
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // Errors: as ListenUnix.
  Status Open(const std::string& path);

 private:
  struct Client {
    int fd = -1;
    evloop::Handle handle = 0;
    std::string in;
    std::string out;
  };
  void Accept();
  void OnClient(int fd, short events);
  bool ReadLines(Client& client);
  bool Flush(Client& client);
  void Drop(int fd);

  evloop::Loop& loop_;
  Handler handler_;
  std::string path_;
  int listener_ = -1;
  evloop::Handle listener_handle_ = 0;
  std::map<int, Client> clients_;  // by fd
};

}  // namespace faraday::sim
