//! The plugin file of [`script`].

ferry_plugin::export_plugin!(script);
