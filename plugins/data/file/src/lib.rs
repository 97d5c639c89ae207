//! The plugin file of [`ferry_data`]: what the engine loads. Everything it offers is in that library.

ferry_plugin::export_plugin!(ferry_data, name = "data");
