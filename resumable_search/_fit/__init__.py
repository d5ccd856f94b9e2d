"""One ``fit``, from what scikit-learn asks for to what it gets."""
