// The smallest image that firmware/budget accepts, and with -DPLANT_... the faults it must find. For planted_test.sh.
#include <cstddef>
#include <cstdint>

extern "C" {
extern uint32_t stack_top;
void Reset();
void Tick();
void* malloc(size_t size);
volatile uint32_t sink;
}

namespace planted {

__attribute__((noinline)) uint32_t Double(uint32_t value) { return value + sink; }
__attribute__((noinline)) uint32_t Triple(uint32_t value) { return value * sink; }

using Step = uint32_t (*)(uint32_t);
constexpr Step kSteps[] = {Double, Triple};

#ifdef PLANT_RECURSION
__attribute__((noinline)) uint32_t Sum(uint32_t n) {
  volatile uint32_t held[4] = {n, n, n, n};
  return n == 0 ? 0 : Sum(n - 1) + held[n % 4];
}
#endif

#ifdef PLANT_DYNAMIC
__attribute__((noinline)) void Fill(uint32_t n) {
  auto* bytes = static_cast<volatile uint8_t*>(__builtin_alloca(n));
  bytes[0] = 1;
}
#endif

#ifdef PLANT_INDIRECT
uint32_t Once(uint32_t value) { return value; }
Step volatile step = Once;
#endif

#ifdef PLANT_BIG_FRAME
__attribute__((noinline)) void Big() {
  volatile uint8_t bytes[1200];
  for (auto& byte : bytes) byte = 1;
}
#endif

__attribute__((noinline)) void Run() {
  sink = kSteps[sink % 2](sink);
#ifdef PLANT_RECURSION
  sink = Sum(sink);
#endif
#ifdef PLANT_DYNAMIC
  Fill(sink);
#endif
#ifdef PLANT_INDIRECT
  sink = step(sink);
#endif
#ifdef PLANT_BIG_FRAME
  Big();
#endif
#ifdef PLANT_HEAP
  sink = reinterpret_cast<uintptr_t>(malloc(sink));
#endif
}

}  // namespace planted

#ifdef PLANT_FLASH
__attribute__((section(".vectors"), used)) const uint8_t kBallast[9000] = {1};
#endif
#ifdef PLANT_RAM
__attribute__((used)) uint8_t ballast[4000];
#endif

union Vector {
  const uint32_t* stack;
  void (*handler)();
};
__attribute__((section(".vectors"), used))
const Vector kVectors[] = {{.stack = &stack_top}, {.handler = Reset}, {.handler = Tick}};

extern "C" {
void Reset() {
  while (true) planted::Run();
}
void Tick() { sink = 1; }
#ifdef PLANT_HEAP
__attribute__((noinline, noipa)) void* malloc(size_t) { return const_cast<uint32_t*>(&sink); }
#endif
}
