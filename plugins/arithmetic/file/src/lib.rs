//! The plugin file of [`arithmetic`]: what the engine loads. Everything it offers is in that library.

ferry_plugin::export_plugin!(arithmetic);
