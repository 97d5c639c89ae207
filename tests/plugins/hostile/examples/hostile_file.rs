//! The plugin file of [`hostile`].

ferry_plugin::export_plugin!(hostile);
