"""parscope: from the moment an instrument produces microscopy data to the moment someone can act on them."""
