// The control socket: a unix stream where each line is a command and each command gets one line, "ok ..." or
// "error ...". A client's next line is looked at once the one before is answered; the others do not wait for it.
// Lives in the loop's thread; knows nothing of what the commands do.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/status.h"
#include "evloop/loop.h"

namespace faraday::sim {

class ControlServer {
 public:
  // To be called once with the answer's line, without its end; at once or later, while the server lives.
  using Reply = std::function<void(const std::string& answer)>;
  using Handler = std::function<void(const std::string& line, Reply reply)>;

  ControlServer(evloop::Loop& loop, Handler handler) : loop_(loop), handler_(std::move(handler)) {}
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // Errors: as ListenUnix.
  Status Open(const std::string& path);

 private:
  struct Client {
    uint64_t id = 0;
    int fd = -1;
    evloop::Handle handle = 0;
    std::string in;
    std::string out;
    bool waits = false;  // for an answer
    bool ended = false;  // has said all it will, and is not watched any more; it still gets its answers
  };
  void Accept();
  void OnClient(uint64_t id, short events);
  bool Receive(Client& client);
  void OnAnswer(uint64_t id, const std::string& answer);
  void Turn(Client& client);
  void AskWhatItSaid(Client& client);
  bool Flush(Client& client);
  void Drop(uint64_t id);

  evloop::Loop& loop_;
  Handler handler_;
  std::string path_;
  int listener_ = -1;
  evloop::Handle listener_handle_ = 0;
  std::map<uint64_t, Client> clients_;  // by id, for a descriptor's number comes again
  uint64_t next_id_ = 1;
  bool asking_ = false;  // a handler is being called
};

}  // namespace faraday::sim
