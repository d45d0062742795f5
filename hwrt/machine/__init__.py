"""What this device is (its fingerprint), what it allows (limits) and how it fares (conditions).

Everything is read from files of the kernel below a root folder, "/" unless a test says otherwise;
no vendor runtime is imported and no other program is run.
"""
