# Cross toolchain for Cortex-M boards; C library pieces only (no heap, no system calls).
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_CXX_COMPILER arm-none-eabi-g++)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
# Freestanding on purpose: libs/base then takes string literals for std::string. No floating point anywhere.
set(CMAKE_CXX_FLAGS_INIT
  "-mcpu=cortex-m4 -mthumb -mfloat-abi=soft -ffreestanding -fno-exceptions -fno-rtti -fno-threadsafe-statics \
-fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections")
