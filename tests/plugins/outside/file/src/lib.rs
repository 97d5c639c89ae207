//! The plugin file of [`outside`].

ferry_plugin::export_plugin!(outside);
