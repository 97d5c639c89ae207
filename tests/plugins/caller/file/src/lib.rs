//! The plugin file of [`caller`].

ferry_plugin::export_plugin!(caller);
