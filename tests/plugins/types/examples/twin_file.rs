//! The plugin file of [`types`]: it declares the shared types, as the bundled plugin does.

ferry_plugin::export_plugin!(types, name = "twin");
