"""The built-in kinds: one module or package each, with a `render(spec, config, out)`."""
