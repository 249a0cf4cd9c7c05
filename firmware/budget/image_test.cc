// The texts of objdump and GCC, read.
#include "firmware/budget/image.h"

#include <gtest/gtest.h>

#include "firmware/budget/call_graph.h"
#include "firmware/budget/text.h"

namespace faraday::firmware::budget {
namespace {

constexpr char kHeaders[] = R"(
image.elf:     file format elf32-littlearm

Sections:
Idx Name          Size      VMA       LMA       File off  Algn
  0 .vectors      00000010  00000000  00000000  00001000  2**2
                  CONTENTS, ALLOC, LOAD, RELOC, READONLY, DATA
  1 .data         00000020  00042000  00007d40  00007d40  2**2
                  CONTENTS, ALLOC, LOAD, DATA
  2 .bss          000057f0  00042020  00042020  00000000  2**2
                  ALLOC
  3 .debug_info   0000040e  00000000  00000000  00007d40  2**0
                  CONTENTS, RELOC, READONLY, DEBUGGING, OCTETS
SYMBOL TABLE:
00000000 l    d  .text	00000000 .text
00040000 g       .stack	00000000 stack_bottom
00000100 g     F .text	00000010 Reset
00000110 l     F .text	00000020 _ZN1a3RunEv
00000130  w    F .text	00000000 .hidden memcpy
00000150 l     O .text	00000008 kTable

RELOCATION RECORDS FOR [.vectors]:
OFFSET   TYPE              VALUE
00000000 R_ARM_ABS32       stack_top
00000004 R_ARM_ABS32       Reset

RELOCATION RECORDS FOR [.text]:
OFFSET   TYPE              VALUE
00000104 R_ARM_THM_CALL    memcpy
00000150 R_ARM_ABS32       _ZN1a3RunEv
00000154 R_ARM_ABS32       kTable

RELOCATION RECORDS FOR [.debug_info]:
OFFSET   TYPE              VALUE
00000104 R_ARM_ABS32       memcpy
)";

constexpr char kCode[] = R"(
Disassembly of section .text:

00000100 <Reset>:
     100:	push	{r4, r5, lr}
     102:	sub	sp, #24
     104:	bl	130 <memcpy>
			104: R_ARM_THM_CALL	memcpy
     108:	b.w	110 <_ZN1a3RunEv>
     10c:	bls.n	100 <Reset>

00000110 <_ZN1a3RunEv>:
     110:	ldr	r3, [pc, #40]	@ (130 <memcpy>)
     112:	blx	r3
     114:	ldr.w	pc, [sp], #4
     118:	cbz	r0, 110 <_ZN1a3RunEv>
     11a:	bx	r3
     11c:	bx	lr
     11e:	tbb	[pc, r0]
     122:	ldr.w	pc, [r2, r3]

00000130 <memcpy>:
     130:	str.w	r4, [sp, #-8]!
     134:	stmdb	sp!, {r4, r5}
     138:	sub.w	sp, sp, r3
)";

Image Sample() {
  Image image;
  ReadHeaders(kHeaders, image);
  ReadDisassembly(kCode, image);
  return image;
}

TEST(ReadHeaders, SectionsSayWhatTheyTake) {
  const Image image = Sample();
  ASSERT_EQ(image.sections.size(), 4U);
  const Section& data = image.sections[1];
  EXPECT_EQ(data.size, 0x20U);
  EXPECT_TRUE(data.InFlash() && data.InRam()) << "kept in flash, copied to RAM";
  EXPECT_TRUE(!image.sections[2].InFlash() && image.sections[2].InRam());
  EXPECT_TRUE(image.sections[0].InFlash() && !image.sections[0].InRam());
  EXPECT_TRUE(!image.sections[3].InFlash() && !image.sections[3].InRam());
}

TEST(ReadHeaders, FunctionsVectorsAndTakenAddresses) {
  const Image image = Sample();
  ASSERT_EQ(image.functions.size(), 3U);
  EXPECT_EQ(image.functions.at(0x130).name, "memcpy");
  EXPECT_EQ(image.symbols.at("stack_bottom"), 0x40000U);
  EXPECT_EQ(image.vectors, (std::vector<uint32_t>{0x100}));
  EXPECT_EQ(image.addresses_taken, (std::set<uint32_t>{0x110})) << "no call, no data symbol, no debug information";
}

TEST(ReadDisassembly, CallsAndJumpsToOtherFunctions) {
  const Image image = Sample();
  EXPECT_EQ(image.functions.at(0x100).calls, (std::set<uint32_t>{0x110, 0x130}));
  EXPECT_EQ(image.functions.at(0x110).calls, (std::set<uint32_t>{})) << "a loop is no call";
}

TEST(ReadDisassembly, IndirectCallsAreCounted) {
  const Image image = Sample();
  EXPECT_EQ(image.functions.at(0x100).indirect_calls, 0U);
  EXPECT_EQ(image.functions.at(0x110).indirect_calls, 3U) << "blx r3, bx r3, ldr pc; no return, no switch table";
}

TEST(ReadDisassembly, StackOfFunctionsWithoutACompiler) {
  const Image image = Sample();
  EXPECT_EQ(image.functions.at(0x100).pushed, 36U);
  EXPECT_FALSE(image.functions.at(0x100).moves_stack);
  EXPECT_EQ(image.functions.at(0x130).pushed, 16U);
  EXPECT_TRUE(image.functions.at(0x130).moves_stack);
}

TEST(ReadCallGraph, FramesCallsAndWhatHasNoFixedSize) {
  CallGraph graph;
  ReadCallGraph(R"ci(graph: { title: "a.cc"
node: { title: "/src/a.cc:_ZL3foov" label: "void foo()\na.cc:1:2\n88 bytes (static)" }
node: { title: "bar" label: "void bar(int)\na.cc:5:2\n16 bytes (dynamic,bounded)" }
node: { title: "extern" label: "void extern()\nb.h:3:1" shape : ellipse }
edge: { sourcename: "/src/a.cc:_ZL3foov" targetname: "bar" label: "a.cc:2:3" }
edge: { sourcename: "bar" targetname: "__indirect_call" label: "a.cc:6:3" }
}
)ci",
                graph);
  EXPECT_EQ(graph.frames.size(), 2U);
  EXPECT_EQ(graph.frames.at("_ZL3foov").bytes, 88U);
  EXPECT_FALSE(graph.frames.at("_ZL3foov").dynamic);
  EXPECT_TRUE(graph.frames.at("bar").dynamic);
  EXPECT_EQ(graph.calls.at("_ZL3foov"), (std::set<std::string>{"bar"}));
  EXPECT_EQ(graph.indirect, (std::set<std::string>{"bar"}));
}

TEST(ReadCallGraph, OfOneNameTheLargestFrameCounts) {
  CallGraph graph;
  for (const char* bytes : {"8", "24", "16"})
    ReadCallGraph(std::string("node: { title: \"f\" label: \"f\\na\\n") + bytes + " bytes (static)\" }\n", graph);
  EXPECT_EQ(graph.frames.at("f").bytes, 24U);
}

TEST(Text, PatternsMatchWholeNames) {
  EXPECT_TRUE(Matches("malloc", "malloc"));
  EXPECT_FALSE(Matches("malloc", "_malloc_r"));
  EXPECT_TRUE(Matches("*malloc*", "_malloc_r"));
  EXPECT_TRUE(Matches("a::*::Read(*", "a::b::c::Read(int)"));
  EXPECT_FALSE(Matches("a::*::Read(*", "a::b::Write(int)"));
}

}  // namespace
}  // namespace faraday::firmware::budget
