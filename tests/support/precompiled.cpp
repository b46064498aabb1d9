// Compiled so that the header before it is, once for all tests.
