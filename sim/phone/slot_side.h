// What passes between a slot of the plant and the phone in it. Plain values; both sides of faraday-sim use them.
#pragma once

namespace faraday::sim {

// What the phone feels: from the plant.
struct SlotSide {
  bool present = true;        // the phone is plugged into the slot's cable
  bool vbus = false;          // above 4.4 V at the connector
  int data_host = -1;         // host index its data lines reach, -1: open or on the charge-port controller
  bool charge_port = false;   // charge-port controller on the data lines (may draw more than 500 mA)
  int battery_percent = 100;  // of the plant's battery model; 0: empty, the phone is off
};

// What the plant feels: from the phone.
struct PhoneDraw {
  bool running = false;  // booting or booted (else switched off, flat)
  int system_ma = 0;     // what its electronics use, at battery voltage, in mA referred to VBUS 5 V
};

}  // namespace faraday::sim
