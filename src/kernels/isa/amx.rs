//! Whether this process may use AMX: the CPU has it, and the system saves its registers.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::sync::OnceLock;

/// `arch_prctl` and its request to use a register set that is not there from the start: the tiles' data.
/// Source: the Linux kernel's documentation, "Using XSTATE features in user space applications".
const SYS_ARCH_PRCTL: usize = 158;
const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
const XFEATURE_XTILEDATA: usize = 18;

/// Asks the CPU and the system, once.
pub(super) fn is_permitted() -> bool {
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    *PERMITTED.get_or_init(|| {
        const TILE_AND_INT8: u32 = 0b11 << 24;
        let features = __cpuid_count(7, 0).edx;
        features & TILE_AND_INT8 == TILE_AND_INT8 && cfg!(target_os = "linux") && ask_linux()
    })
}

/// Asks Linux for the tiles, for all threads of the process. A kernel that does not know them refuses.
fn ask_linux() -> bool {
    let mut result = SYS_ARCH_PRCTL;
    // SAFETY: the call has two numbers as arguments and touches no memory of ours; like every system call
    // it overwrites rcx and r11.
    unsafe {
        asm!("syscall", inlateout("rax") result, in("rdi") ARCH_REQ_XCOMP_PERM, in("rsi") XFEATURE_XTILEDATA,
            out("rcx") _, out("r11") _, options(nostack));
    }
    result == 0
}
