#include "rpc/audit_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "access/audit_record.h"
#include "access/key.h"

namespace faraday::rpc {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr size_t kMostText = 200;  // bytes of one field; chosen
constexpr int kMostItems = 20;     // of a list; chosen

// Never shown, whatever they hold.
constexpr std::array<std::string_view, 4> kSecretNames = {"secret", "code", "token", "secret_key"};
// Maps whose values are the caller's secrets: a job's environment.
constexpr std::string_view kSecretMap = "environment";

bool IsPlain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("._/:+-@").find(c) != std::string_view::npos;
  });
}

std::string TextOf(const std::string& text) {
  const std::string cut = access::CleanText(text, kMostText);
  return IsPlain(cut) ? cut : access::AuditQuoted(cut);
}

std::string BytesOf(const std::string& bytes) {
  const auto key = access::PublicKeyOfBytes(bytes);
  return key.ok() ? Fingerprint(*key) : fmt::format("({} bytes)", bytes.size());
}

// "ACTION_ON" of PowerCall.Action is "ON". An unknown number stays one: libprotobuf keeps what it makes of such.
std::string EnumOf(const FieldDescriptor* field, int number) {
  const auto* value = field->enum_type()->FindValueByNumber(number);
  if (value == nullptr) return std::to_string(number);
  std::string prefix;
  for (const char c : value->type()->name()) {
    if (c >= 'A' && c <= 'Z' && !prefix.empty()) prefix += '_';
    prefix += static_cast<char>(std::toupper(c));
  }
  prefix += '_';
  const std::string& name = value->name();
  return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

std::string FieldsOf(const Message& message, bool whole_call);

std::string ValueOf(const Message& message, const FieldDescriptor* field, int index) {
  const auto* r = message.GetReflection();
  const bool list = index >= 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string text = list ? r->GetRepeatedString(message, field, index) : r->GetString(message, field);
      return field->type() == FieldDescriptor::TYPE_BYTES ? BytesOf(text) : TextOf(text);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return "{" +
             FieldsOf(list ? r->GetRepeatedMessage(message, field, index) : r->GetMessage(message, field), false) + "}";
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumOf(field, list ? r->GetRepeatedEnumValue(message, field, index) : r->GetEnumValue(message, field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return (list ? r->GetRepeatedBool(message, field, index) : r->GetBool(message, field)) ? "yes" : "no";
    case FieldDescriptor::CPPTYPE_UINT32:
      return std::to_string(list ? r->GetRepeatedUInt32(message, field, index) : r->GetUInt32(message, field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return std::to_string(list ? r->GetRepeatedUInt64(message, field, index) : r->GetUInt64(message, field));
    case FieldDescriptor::CPPTYPE_INT32:
      return std::to_string(list ? r->GetRepeatedInt32(message, field, index) : r->GetInt32(message, field));
    case FieldDescriptor::CPPTYPE_INT64:
      return std::to_string(list ? r->GetRepeatedInt64(message, field, index) : r->GetInt64(message, field));
    default:
      return "?";
  }
}

// Names of a map's first entries, sorted. With values unless they are secret.
std::string MapOf(const Message& message, const FieldDescriptor* field) {
  const auto* r = message.GetReflection();
  const FieldDescriptor* key = field->message_type()->map_key();
  const FieldDescriptor* value = field->message_type()->map_value();
  std::vector<std::string> items;
  const int size = r->FieldSize(message, field);
  for (int i = 0; i < std::min(size, kMostItems); ++i) {
    const Message& entry = r->GetRepeatedMessage(message, field, i);
    std::string item = ValueOf(entry, key, -1);
    if (field->name() != kSecretMap) item += ":" + ValueOf(entry, value, -1);
    items.push_back(std::move(item));
  }
  std::sort(items.begin(), items.end());
  if (size > kMostItems) items.push_back("...");
  return fmt::format("[{}]", fmt::join(items, ","));
}

std::string ListOf(const Message& message, const FieldDescriptor* field) {
  if (field->is_map()) return MapOf(message, field);
  const int size = message.GetReflection()->FieldSize(message, field);
  std::string list;
  for (int i = 0; i < std::min(size, kMostItems); ++i) list += (i == 0 ? "" : ",") + ValueOf(message, field, i);
  return "[" + list + (size > kMostItems ? ",..." : "") + "]";
}

// Fields with their default value are left out; but not a call's own yes or no: that is what it asks.
bool IsShown(const Message& message, const FieldDescriptor* field, bool whole_call) {
  if (field->is_repeated()) return message.GetReflection()->FieldSize(message, field) > 0;
  const bool is_bool = field->cpp_type() == FieldDescriptor::CPPTYPE_BOOL;
  return (whole_call && is_bool) || message.GetReflection()->HasField(message, field);
}

std::string FieldsOf(const Message& message, bool whole_call) {
  std::string text;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    if (!IsShown(message, field, whole_call)) continue;
    const bool secret = std::find(kSecretNames.begin(), kSecretNames.end(), field->name()) != kSecretNames.end();
    text += (text.empty() ? "" : " ") + field->name() + "=";
    text += secret ? "(secret)" : field->is_repeated() ? ListOf(message, field) : ValueOf(message, field, -1);
  }
  return text;
}

const Message* CallOf(const v1::Request& request) {
  const auto* field = request.GetDescriptor()->FindFieldByNumber(static_cast<int>(request.call_case()));
  return field == nullptr ? nullptr : &request.GetReflection()->GetMessage(request, field);
}

std::string StringField(const Message* message, const std::string& name) {
  if (message == nullptr) return "";
  const auto* field = message->GetDescriptor()->FindFieldByName(name);
  if (field == nullptr || field->type() != FieldDescriptor::TYPE_STRING || field->is_repeated()) return "";
  return message->GetReflection()->GetString(*message, field);
}

// "r01-07-42" is about "r01/07": what people search for.
std::string SlotOfLease(const std::string& lease) {
  const size_t epoch = lease.rfind('-');
  const size_t slot = epoch == 0 || epoch == std::string::npos ? std::string::npos : lease.rfind('-', epoch - 1);
  if (slot == 0 || slot == std::string::npos) return lease;
  return lease.substr(0, slot) + "/" + lease.substr(slot + 1, epoch - slot - 1);
}

}  // namespace

std::string ArgumentsOf(const v1::Request& request, size_t most) {
  const Message* call = CallOf(request);
  return call == nullptr ? "" : access::CleanText(FieldsOf(*call, true), most);
}

std::string SubjectOf(const v1::Request& request) {
  const Message* call = CallOf(request);
  if (const std::string lease = StringField(call, "lease"); !lease.empty()) return SlotOfLease(lease);
  if (request.has_report_attempt()) return request.report_attempt().attempt().id();
  for (const char* name : {"slot", "id", "attempt", "name", "rack"}) {
    if (std::string subject = StringField(call, name); !subject.empty()) return subject;
  }
  return "";
}

std::string SubjectOf(const v1::Reply& reply) {
  switch (reply.result_case()) {
    case v1::Reply::kReservation:
      return reply.reservation().reservation().id();
    case v1::Reply::kJob:
      return reply.job().job().id();
    case v1::Reply::kUser:
      return reply.user().user().name();
    case v1::Reply::kEnrol:
      return reply.enrol().user().name();
    default:
      return "";
  }
}

std::string ResultOf(const v1::Reply& reply) {
  if (reply.status().code() != 0) return reply.status().message();
  switch (reply.result_case()) {
    case v1::Reply::kAcquire:
      return "lease " + reply.acquire().lease().id();
    case v1::Reply::kPutRoster:
      return fmt::format("roster {}", reply.put_roster().number());
    case v1::Reply::kUser:
      return fmt::format("roster {}", reply.user().roster());
    default:
      return SubjectOf(reply);
  }
}

std::string ReasonOf(const v1::Request& request) { return StringField(CallOf(request), "reason"); }

std::string OnBehalfOf(const v1::Request& request) {
  return request.has_acquire() ? request.acquire().on_behalf_of().user() : "";
}

}  // namespace faraday::rpc
