#include "agent/runner/artifacts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "agent/runner/junit.h"

namespace faraday::agent {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Artifacts : public testing::Test {
 protected:
  Artifacts() : root_(testing::TempDir() + "/artifacts-" + std::to_string(::getpid())), work_(root_ + "/work") {
    fs::create_directories(work_ + "/artifacts");
  }
  ~Artifacts() override { fs::remove_all(root_); }
  void File(const std::string& path, const std::string& text = "x") {
    fs::create_directories(fs::path(root_ + "/" + path).parent_path());
    std::ofstream(root_ + "/" + path) << text;
  }
  std::vector<std::string> Find(const std::vector<std::string>& globs, const std::string& junit = "") {
    found_ = FindArtifacts(work_, globs, junit);
    std::vector<std::string> names;
    for (const auto& artifact : found_.artifacts) names.push_back(artifact.name);
    return names;
  }

  std::string root_;
  std::string work_;
  FoundArtifacts found_;
};

TEST_F(Artifacts, EverythingBelowArtifactsAndWhatGlobsName) {
  File("work/artifacts/a.txt");
  File("work/artifacts/deep/b.txt");
  File("work/out/c.xml");
  File("work/out/deeper/d.xml");
  File("work/other.txt");
  EXPECT_THAT(Find({}), ElementsAre("a.txt", "deep/b.txt"));
  EXPECT_THAT(Find({"out/*.xml"}), ElementsAre("a.txt", "deep/b.txt", "out/c.xml"));
  EXPECT_THAT(Find({"**/*.xml"}), ElementsAre("a.txt", "deep/b.txt", "out/c.xml", "out/deeper/d.xml"));
  EXPECT_THAT(Find({"**/*.txt"}), ElementsAre("a.txt", "deep/b.txt", "other.txt"));
}

TEST_F(Artifacts, NothingOutsideTheWorkingFolder) {
  File("secret.txt");
  fs::create_symlink(root_ + "/secret.txt", work_ + "/artifacts/link.txt");
  fs::create_directory_symlink(root_, work_ + "/out");
  EXPECT_THAT(Find({"../*", "/etc/passwd", "out/*", "**/secret.txt"}), IsEmpty());
  EXPECT_THAT(found_.problem, HasSubstr("'../*' was ignored"));
  EXPECT_THAT(found_.problem, HasSubstr("/etc/passwd"));
  EXPECT_EQ(FindJobFile(work_, "../secret.txt"), "");
  EXPECT_EQ(FindJobFile(work_, "out/secret.txt"), "");
  EXPECT_EQ(FindJobFile(work_, "link.txt"), "");
}

TEST_F(Artifacts, FolderReplacedByALink_IsNotFollowed) {
  File("secret.txt");
  fs::remove_all(work_ + "/artifacts");
  fs::create_directory_symlink(root_, work_ + "/artifacts");
  EXPECT_THAT(Find({}), IsEmpty());
}

TEST_F(Artifacts, NamesThatClash_AreKeptApart) {
  File("work/artifacts/log");
  File("work/artifacts/r.xml");
  File("work/r.xml");
  EXPECT_THAT(Find({"r.xml"}), ElementsAre("artifacts/log", "r.xml", "work/r.xml"));
}

TEST_F(Artifacts, TooMuch_IsLeftOutAndSaid) {
  File("work/artifacts/small");
  File("work/artifacts/big");
  fs::resize_file(work_ + "/artifacts/big", kArtifactBytes + 1);  // sparse
  EXPECT_THAT(Find({}), ElementsAre("small"));
  EXPECT_THAT(found_.problem, HasSubstr("1 artefacts were left out: at most 256 MiB"));
}

TEST_F(Artifacts, NamesTheLabRefuses_AreLeftOutAndSaid) {
  File("work/artifacts/a\nb");
  File("work/artifacts/back\\slash");
  File("work/artifacts/\xff\xfe");
  const std::string deep(200, 'd');
  File("work/artifacts/" + deep + "/" + deep + "/" + deep);
  File("work/artifacts/\u00e4.txt");
  EXPECT_THAT(Find({}), ElementsAre("\u00e4.txt"));
  EXPECT_THAT(found_.problem, HasSubstr("4 artefacts were left out for their names"));
}

TEST_F(Artifacts, UnreadableFile_IsLeftOutAndSaid) {
  if (::geteuid() == 0) GTEST_SKIP() << "root reads everything";
  File("work/artifacts/secret");
  fs::permissions(work_ + "/artifacts/secret", fs::perms::none);
  EXPECT_THAT(Find({}), IsEmpty());
  EXPECT_THAT(found_.problem, HasSubstr("1 artefacts cannot be read"));
}

TEST_F(Artifacts, LongNames_AreBoundedTogether) {
  for (int i = 0; i < 1000; ++i)
    File("work/artifacts/" + std::string(240, 'd') + "/" + std::string(200, 'f') + std::to_string(i));
  const auto names = Find({});
  EXPECT_GT(names.size(), 700u);
  EXPECT_LT(names.size(), 1000u);
  EXPECT_THAT(found_.problem, HasSubstr("400 KiB of names"));
}

TEST_F(Artifacts, JunitFile_IsAnArtefactToo) {
  File("work/report.xml");
  EXPECT_THAT(Find({}, "report.xml"), ElementsAre("report.xml"));
  EXPECT_EQ(FindJobFile(work_, "report.xml"), work_ + "/report.xml");
}

class Junit : public Artifacts {
 protected:
  Result<JunitSummary> Read(const std::string& text) {
    File("junit.xml", text);
    return ReadJunit(root_ + "/junit.xml");
  }
};

TEST_F(Junit, CountsCasesInNestedSuites) {
  const auto sum = Read(
      "<testsuites><testsuite name='a'><testsuite><testcase/><testcase><failure/></testcase></testsuite>"
      "<testcase><error/></testcase><testcase><skipped/></testcase></testsuite></testsuites>");
  ASSERT_TRUE(sum.ok());
  EXPECT_EQ(*sum, (JunitSummary{4, 1, 1, 1}));
}

TEST_F(Junit, CountsWhatOnlyTheSuiteSays) {
  const auto sum = Read("<testsuite tests='3' errors='1'><testcase/><testcase/></testsuite>");
  ASSERT_TRUE(sum.ok());
  EXPECT_EQ(*sum, (JunitSummary{3, 0, 1, 0}));
}

TEST_F(Junit, BadFiles_AreErrorsWithAReason) {
  EXPECT_EQ(Read("").status().code(), Code::kDataLoss);
  EXPECT_EQ(Read("<testsuite><testcase>").status().code(), Code::kDataLoss);
  EXPECT_THAT(Read("<html/>").status().message(), HasSubstr("<html>"));
  EXPECT_EQ(ReadJunit(root_ + "/none.xml").status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace faraday::agent
