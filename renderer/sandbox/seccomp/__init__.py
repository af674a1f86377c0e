"""Which system calls a child may make: a seccomp filter of our own making (seccomp(2)), entered last of all layers.

Theory of operation. The kernel runs a small program (classic BPF) before each system call of this process and of all that
it starts, for ever; the program sees the number of the call, the machine's calling convention and the six arguments as
numbers, and cannot follow a pointer. So a rule may look at a flag or a command, never at a path or an address: those are
Landlock's and the namespaces' to judge.

 - renderer.sandbox.seccomp.families   what is allowed, in families, each with its reason
 - renderer.sandbox.seccomp.arguments  what arguments must be, call by call
 - renderer.sandbox.seccomp.flags      which flags a call may have
 - renderer.sandbox.seccomp.rules      what a rule may ask of an argument
 - renderer.sandbox.seccomp.policy     from families to a program
 - renderer.sandbox.seccomp.bpf        the assembler
 - renderer.sandbox.seccomp.numbers    numbers of the calls, by machine

What is not listed is refused with EPERM, or ends the process (SIGSYS), as the operator has it. Five answers are the same in
both: a call by another convention (32-bit, x32) ends the process, since its numbers mean other calls; clone3, openat2 and
sendfile do not exist (ENOSYS), and who tries them takes the older way; numbers that are newer than our table do not exist
either, since that is what libraries that try them are prepared for; what libc tries unasked fails with EPERM; and a lock of
a part of a file is not made (families.locks).
"""

from renderer.sandbox.seccomp.policy import install, prepare

__all__ = ["install", "prepare"]
