# Every Debian library the host programs link, found once. Targets used below: their names.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(Protobuf REQUIRED)                                   # protobuf::libprotobuf
find_package(yaml-cpp REQUIRED)                                   # yaml-cpp
find_package(fmt REQUIRED)                                        # fmt::fmt
find_package(CLI11 REQUIRED)                                      # CLI11::CLI11
find_package(pugixml REQUIRED)                                    # pugixml::pugixml
pkg_check_modules(zmq REQUIRED IMPORTED_TARGET libzmq)            # PkgConfig::zmq (cppzmq is header-only)
pkg_check_modules(sqlite REQUIRED IMPORTED_TARGET sqlite3)        # PkgConfig::sqlite
pkg_check_modules(serialport REQUIRED IMPORTED_TARGET libserialport)  # PkgConfig::serialport
pkg_check_modules(systemd REQUIRED IMPORTED_TARGET libsystemd)    # PkgConfig::systemd
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)      # PkgConfig::sodium
if(BUILD_TESTING)
  find_package(GTest REQUIRED)                                    # GTest::gmock, GTest::gtest_main
  include(GoogleTest)
  pkg_check_modules(umockdev REQUIRED IMPORTED_TARGET umockdev-1.0) # PkgConfig::umockdev
endif()
