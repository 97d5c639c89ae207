//! The plugin file of [`example`]: what ferry loads. Everything it offers is in that library.

ferry_plugin::export_plugin!(example);
