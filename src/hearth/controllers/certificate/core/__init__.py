"""When a certificate is to be had anew, and its status."""
