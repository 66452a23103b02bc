"""From a recipe to training rows: seeds, templates, augmentation, a teacher, filters, split, formats, report card."""
