// Where an adb server reaches the phone over TCP: a listener and its links, each a socket in front of one AdbdCore.
// Destroying the door is pulling the cable: every link is cut at once and nothing listens.
// One thread, the loop's; nothing blocks.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>

#include "base/result.h"
#include "evloop/loop.h"
#include "sim/phone/adbd_core.h"
#include "sim/phone/owned_fd.h"

namespace faraday::sim {

class TcpDoor {
 public:
  // Listens on "127.0.0.1:5601" (IPv4). `opener` must outlive the door. Returns: kInvalidArgument for a bad address,
  // kUnavailable when it cannot be bound now.
  static Result<std::unique_ptr<TcpDoor>> Open(evloop::Loop& loop,
                                               const std::string& address,
                                               std::string banner,
                                               ServiceOpener& opener);
  ~TcpDoor();
  TcpDoor(const TcpDoor&) = delete;
  TcpDoor& operator=(const TcpDoor&) = delete;

  // OK or kInvalidArgument saying what an address looks like.
  static Status CheckAddress(const std::string& address);

  // The address with its real port.
  const std::string& address() const { return address_; }
  size_t link_count() const { return links_.size(); }
  // Streams open on all links: commands and transfers that run.
  size_t stream_count() const;
  // A mute door takes bytes and links and answers nothing. Links keep what was not sent.
  void SetMute(bool mute);
  void CutLinks();

 private:
  class Link;
  TcpDoor(evloop::Loop& loop, std::string banner, ServiceOpener& opener);
  void Accept();
  void PauseListening();

  evloop::Loop& loop_;
  std::string banner_;
  ServiceOpener& opener_;
  std::string address_;
  OwnedFd listener_;
  evloop::Handle watch_ = 0;
  evloop::Handle resume_ = 0;
  bool mute_ = false;
  std::list<std::unique_ptr<Link>> links_;
};

}  // namespace faraday::sim
