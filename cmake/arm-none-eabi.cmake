# Cross toolchain for Cortex-M boards; C library pieces only (no heap, no system calls).
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_CXX_COMPILER arm-none-eabi-g++)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
# Freestanding on purpose: libs/base then takes string literals for std::string. No floating point anywhere.
set(CMAKE_CXX_FLAGS_INIT
  "-mcpu=cortex-m4 -mthumb -mfloat-abi=soft -ffreestanding -fno-exceptions -fno-rtti -fno-threadsafe-statics \
-fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections")
# What each function takes of the stack and whom it calls, for firmware/budget. ccache (4.7) would lose these files.
add_compile_options(-fcallgraph-info=su)
set(CCACHE_PROGRAM OFF)
