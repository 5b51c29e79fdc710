"""From models in a hidden folder to published ones: report, card, final names."""
