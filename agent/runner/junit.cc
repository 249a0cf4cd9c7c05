#include "agent/runner/junit.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <pugixml.hpp>

namespace faraday::agent {
namespace {

struct CaseCounter : pugi::xml_tree_walker {
  bool for_each(pugi::xml_node& node) override {
    if (std::string_view(node.name()) != "testcase") return true;
    ++sum.tests;
    if (node.child("failure"))
      ++sum.failures;
    else if (node.child("error"))
      ++sum.errors;
    else if (node.child("skipped"))
      ++sum.skipped;
    return true;
  }
  JunitSummary sum;
};

JunitSummary Attributes(const pugi::xml_node& suite) {
  return {suite.attribute("tests").as_uint(),
          suite.attribute("failures").as_uint(),
          suite.attribute("errors").as_uint(),
          suite.attribute("skipped").as_uint()};
}

// What the attributes say: of the root, or, where it has none, of the suites in it.
JunitSummary Claimed(const pugi::xml_node& root) {
  if (root.attribute("tests") || root.attribute("failures")) return Attributes(root);
  JunitSummary sum;
  for (const pugi::xml_node& suite : root.children("testsuite")) {
    const JunitSummary one = Attributes(suite);
    sum = {sum.tests + one.tests, sum.failures + one.failures, sum.errors + one.errors, sum.skipped + one.skipped};
  }
  return sum;
}

}  // namespace

Result<JunitSummary> ReadJunit(const std::string& path) {
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  if (error) return Status(Code::kNotFound, path + ": " + error.message());
  if (size > kJunitBytes)
    return Status(Code::kResourceExhausted, fmt::format("{} MiB, at most 32 MiB are read", size >> 20));
  pugi::xml_document document;
  const pugi::xml_parse_result parsed = document.load_file(path.c_str());
  if (!parsed) return Status(Code::kDataLoss, fmt::format("{} at byte {}", parsed.description(), parsed.offset));
  const pugi::xml_node root = document.document_element();
  const std::string_view name = root.name();
  if (name != "testsuites" && name != "testsuite") {
    return Status(Code::kDataLoss, fmt::format("its root is <{}>, not <testsuites> or <testsuite>", name));
  }
  CaseCounter cases;
  document.traverse(cases);
  const JunitSummary claimed = Claimed(root);
  return JunitSummary{std::max(cases.sum.tests, claimed.tests),
                      std::max(cases.sum.failures, claimed.failures),
                      std::max(cases.sum.errors, claimed.errors),
                      std::max(cases.sum.skipped, claimed.skipped)};
}

}  // namespace faraday::agent
