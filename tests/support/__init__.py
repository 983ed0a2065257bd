"""What the tests stand on: emulators, tables, providers and the deployed local stack."""
