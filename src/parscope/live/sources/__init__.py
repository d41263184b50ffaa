"""Where messages come from: detectors, files and simulations; one file each, all in the form of stream V2."""
