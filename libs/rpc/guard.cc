#include "rpc/guard.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace faraday::rpc {
namespace {

constexpr Milliseconds kLook{1000};  // chosen: an expired key's events end within about that

bool IsPortZero(std::string_view endpoint) { return endpoint.ends_with(":0"); }

// An endpoint that others can use as it stands.
std::string Usable(const std::string& endpoint) {
  const bool any = endpoint.find("//*") != std::string::npos || endpoint.find("//0.0.0.0") != std::string::npos ||
                   endpoint.find("//[::]") != std::string::npos;
  return any || IsPortZero(endpoint) ? "" : endpoint;
}

Result<access::KeyPair> ReadOrMakePair(const std::string& path, const std::string& what) {
  FARADAY_TRY_ASSIGN(const access::SecretKey secret, access::ReadOrMakeSecret(path, what));
  return access::KeyPairOf(secret);
}

}  // namespace

// ---- opening ----

Result<std::unique_ptr<Guard>> Guard::Open(evloop::Loop& loop, zmq::context_t& context, Options options) {
  std::unique_ptr<Guard> guard(new Guard(&loop, std::move(options)));
  FARADAY_TRY(guard->ReadKeys());
  FARADAY_TRY_ASSIGN(auto membership, access::Membership::Open(guard->options_.state_dir, guard->directory_));
  if (guard->options_.role == access::Role::kController) FARADAY_TRY(membership->Check());
  const bool is_member = guard->options_.role == access::Role::kController && !membership->servers().empty();
  if (is_member) {
    FARADAY_TRY(guard->OpenAsMember(std::move(membership)));
  } else {
    membership.reset();
    FARADAY_TRY(guard->OpenAsKeeper());
  }
  FARADAY_TRY(guard->OpenDoor(context));
  return guard;
}

Guard::~Guard() {
  if (loop_ == nullptr) return;
  loop_->Remove(looker_);
  loop_->Remove(soon_);
}

Result<std::string> Guard::RotateSigner(const Options& options) {
  Guard guard(nullptr, options);
  FARADAY_TRY(guard.ReadKeys());
  FARADAY_TRY_ASSIGN(const auto registry, guard.OpenRegistry());
  const access::PublicKey before = registry->signer();
  FARADAY_TRY(registry->RotateSigner(UtcNow()));
  const uint64_t last = registry->number();
  FARADAY_TRY(registry->RetireSigner(UtcNow()));
  return fmt::format("roster {} is the last that the signer {} signed; roster {} is the first of the next: {}",
                     last,
                     access::Fingerprint(before),
                     registry->number(),
                     access::Fingerprint(registry->signer()));
}

Status Guard::ReadKeys() {
  const std::string folder = options_.state_dir + "/keys/";
  FARADAY_TRY_ASSIGN(
      access::KeyPair server,
      ReadOrMakePair(folder + "server.key", fmt::format("{} ({})", options_.name, access::RoleName(options_.role))));
  FARADAY_TRY_ASSIGN(const access::KeyPair admin,
                     ReadOrMakePair(folder + "admin.key", "break-glass admin of " + options_.name));
  keys_ = std::make_shared<const access::KeyPair>(std::move(server));
  admin_key_ = admin.public_key;
  directory_.SetBreakGlass(admin_key_);
  facts_ = {options_.name, options_.plain ? "plain text, loopback only" : "CURVE"};
  return OkStatus();
}

Result<std::unique_ptr<access::Registry>> Guard::OpenRegistry() const {
  access::Registry::Options options;
  options.state_dir = options_.state_dir;
  options.keeper = options_.name;
  options.keeper_role = options_.role;
  options.server_key = keys_->public_key;
  options.endpoint = Usable(options_.endpoint);
  options.forbidden = {admin_key_};
  return access::Registry::Open(std::move(options), UtcNow());
}

Status Guard::OpenAsKeeper() {
  FARADAY_TRY_ASSIGN(registry_, OpenRegistry());
  directory_.SetRoster(registry_->roster());
  registry_->OnChange([this] {
    directory_.SetRoster(registry_->roster());
    TellRestored();
    OnRoster();
  });
  keeper_calls_ = std::make_unique<KeeperCalls>(*registry_, directory_, facts_);
  return OkStatus();
}

void Guard::TellRestored() {
  if (registry_->restored().empty()) return;
  log::Error("users: {}", registry_->restored());
  if (audit_) audit_->Note("roster", options_.name, registry_->restored(), "restored");
}

Status Guard::OpenAsMember(std::unique_ptr<access::Membership> membership) {
  membership_ = std::move(membership);
  directory_.SetLab(membership_->servers().front().key);
  if (!membership_->roster().note().empty()) log::Warn("{}", membership_->roster().note());
  log::Info("users are kept by the lab at {}; roster {} is in force",
            membership_->servers().front().endpoint,
            roster_number());
  return OkStatus();
}

Status Guard::OpenDoor(zmq::context_t& context) {
  access::AuditOptions audit;
  audit.folder = options_.state_dir + "/audit";
  audit.server = options_.name;
  audit.keep_days = options_.audit_days;
  audit.max_mb = options_.audit_mb;
  FARADAY_TRY_ASSIGN(audit_, AuditTrail::Open(*loop_, std::move(audit)));
  audit_calls_ = std::make_unique<AuditCalls>(*audit_);
  Door::Options door;
  door.directory = &directory_;
  door.plain = options_.plain;
  door.audit = audit_.get();
  door_ = std::make_unique<Door>(door);
  if (options_.plain) {
    log::Warn("security: plain: nothing is encrypted and callers are believed; loopback and ipc only");
  } else {
    FARADAY_TRY_ASSIGN(zap_, ZapHandler::Bind(*loop_, context, *door_));
    log::Info("key {}, break-glass key {} in {}/keys",
              access::Fingerprint(keys_->public_key),
              access::Fingerprint(admin_key_),
              options_.state_dir);
  }
  OnRoster();
  looker_ = loop_->AddPeriodic("guard", kLook, [this] { Look(); });
  return OkStatus();
}

// ---- for the sockets ----

Security Guard::security() {
  Security security;
  if (!options_.plain) security.keys = keys_;
  security.gate = door_.get();
  return security;
}

Credentials Guard::As(std::string_view role,
                      std::function<Result<access::PublicKey>(const std::string& endpoint)> server_key) {
  Credentials who;
  who.caller.set_user(options_.name);
  who.caller.set_role(std::string(role));
  if (options_.plain) return who;
  who.keys = keys_;
  who.server_key = std::move(server_key);
  return who;
}

// ---- what others are told ----

void Guard::Tell(v1::RackState* state) const {
  state->set_security(facts_.security);
  state->set_roster(roster_number());
  state->set_audit_records(audit_->records());
  state->set_audit_head(audit_->head());
}

const std::string& Guard::RosterAfter(uint64_t have) const {
  static const std::string kNone;
  return options_.plain ? kNone : registry_->RosterAfter(have);
}

const access::PublicKey* Guard::ControllerKey(const std::string& rack) const {
  const access::Entry* entry = directory_.FindUser(rack);
  if (entry == nullptr) return nullptr;
  const bool is_controller =
      std::find(entry->roles.begin(), entry->roles.end(), access::Role::kController) != entry->roles.end();
  return is_controller ? &entry->key : nullptr;
}

// ---- calls ----

const std::string& Guard::SignedRoster() const {
  return registry_ ? registry_->signed_roster() : membership_->roster().signed_bytes();
}

void Guard::AddTo(HandlerTable* rows) {
  HandlerTable& table = *rows;
  using R = v1::Request;
  audit_calls_->AddTo(rows);
  if (keeper_calls_) {
    keeper_calls_->AddTo(rows);
  } else {
    for (const auto call : {R::kEnrol, R::kAddUser, R::kListUsers, R::kSetUser, R::kDisableUser, R::kRotateUser}) {
      table[call] = [this](const CallPtr& asked) { RefuseAsMember(asked); };
    }
    table[R::kWhoAmI] = WhoAmIHandler(directory_, facts_, [this]() -> const std::string& { return SignedRoster(); });
  }
  if (options_.role == access::Role::kController) {
    table[R::kPutRoster] = [this](const CallPtr& call) { PutRoster(call); };
  }
}

void Guard::RefuseAsMember(const CallPtr& call) const {
  call->Fail({Code::kFailedPrecondition,
              fmt::format("users are kept by the lab at {}, not by {}: ask there",
                          membership_->servers().front().endpoint,
                          options_.name)});
}

void Guard::PutRoster(const CallPtr& call) {
  if (!membership_) {
    return call->Fail({Code::kFailedPrecondition,
                       fmt::format("{} keeps its own users; to enrol it at a lab: faraday-controller --config FILE "
                                   "--enrol tcp://LAB:7710",
                                   options_.name)});
  }
  const Status taken = membership_->Accept(call->request().put_roster().roster().SerializeAsString());
  if (!taken.ok()) return call->Fail(taken);
  log::Info("roster {} is in force", roster_number());
  audit_->Note("roster", options_.name, fmt::format("roster {}", roster_number()), "in force");
  OnRoster();
  v1::Reply reply;
  reply.mutable_put_roster()->set_number(roster_number());
  call->Answer(std::move(reply));
}

// ---- who is let in ----

std::set<access::PublicKey> Guard::LetIn() const {
  std::set<access::PublicKey> keys;
  const UtcTime now = UtcNow();
  for (const access::Entry& entry : directory_.roster().entries) {
    // A code is used up all the time; its user stays.
    if (!entry.enrols && directory_.Find(entry.key, now).ok()) keys.insert(entry.key);
  }
  return keys;
}

void Guard::OnRoster() {
  standing_.clear();
  disabled_.clear();
  for (const access::Entry& entry : directory_.roster().entries) {
    (entry.disabled ? disabled_ : standing_).insert(entry.user);
  }
  // Not from within the call that changed it.
  if (soon_ == 0) {
    soon_ = loop_->AddTimer("guard", loop_->now(), [this] {
      soon_ = 0;
      Look();
    });
  }
}

void Guard::Look() {
  std::set<access::PublicKey> now = LetIn();
  const bool gone = std::any_of(let_in_.begin(), let_in_.end(), [&](const auto& key) { return !now.contains(key); });
  let_in_ = std::move(now);
  if (gone && !options_.plain) {
    for (Publisher* publisher : publishers_) publisher->EndConnections();
  }
  if (on_look_) on_look_();
}

std::string Guard::WhyGone(const std::string& user) const {
  const bool unknowable = options_.plain || roster_number() == 0 || user == access::kBreakGlassUser;
  if (unknowable || standing_.contains(user)) return "";
  const std::string keeper = directory_.roster().keeper == "lab" ? "the lab" : directory_.roster().keeper;
  if (disabled_.contains(user)) return fmt::format("user {} is disabled at {}", user, keeper);
  return fmt::format("user {} has no key at {} any more", user, keeper);
}

}  // namespace faraday::rpc
