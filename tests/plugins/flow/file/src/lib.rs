//! The plugin file of [`flow`].

ferry_plugin::export_plugin!(flow);
