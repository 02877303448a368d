"""What a model sees: where the digits come from, how they are split and batched, and the suites to test on."""
