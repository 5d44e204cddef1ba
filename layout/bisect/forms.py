"""The forms of a condition, as help and errors name them."""

FORMS = {
    "invalid": "a tree breaks a rule of validate",
    "report [KIND]": "the access checker reports something; KIND is a part of its name",
    "fault": "the machine stops",
    "entry I": "an entry comes to index I",
    "entry I = V": "it becomes V; it goes if V is 0",
    "byte ADDR+OFFSET = XX": "a byte gets this value",
    "machines A,B,...": "machines differ in meaning",
    "kernel": "the kernel's own code and the emulator differ",
}
"""The forms of a condition, and when it holds. Numbers are hex, the offset decimal."""
