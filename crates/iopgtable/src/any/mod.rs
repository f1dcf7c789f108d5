//! One type for tables of all formats, for drivers that learn the format when they boot.
//!
//! | room | what is in it |
//! |---|---|
//! | here | the list of the formats, and the two ways to match on it |
//! | `format` | [`AnyFormat`], with names to read and to write |
//! | `registers` | [`AnyRegisters`] |
//! | `table` | [`AnyPageTable`], and [`AnyDump`] for people |
//! | `reserved` | [`AnyReserved`], which cannot allocate |
//!
//! A format that is listed here is in all of them: the enums, their conversions and every match
//! are made from the list. Each operation is one match and then the format's own code; nothing is
//! boxed.

/// Hands the list of the formats to the macro `$to`, after what else that is `$given`: the
/// variant's name, the text that users write, the type, and what it is.
macro_rules! list_formats {
    ($to:ident $($given:tt)*) => {
        $to! {
            { $($given)* }
            Arm64S1_4K "arm64-s1/4K" [Arm64S1<Granule4K>] "Arm's 64-bit stage 1, 4 KiB";
            Arm64S1_16K "arm64-s1/16K" [Arm64S1<Granule16K>] "Arm's 64-bit stage 1, 16 KiB";
            Arm64S1_64K "arm64-s1/64K" [Arm64S1<Granule64K>] "Arm's 64-bit stage 1, 64 KiB";
            Arm64S1_4KLpa2 "arm64-s1/4K-LPA2" [Arm64S1<Lpa2<Granule4K>>]
                "Arm's 64-bit stage 1, 4 KiB with the descriptors of `FEAT_LPA2`";
            Arm64S1_16KLpa2 "arm64-s1/16K-LPA2" [Arm64S1<Lpa2<Granule16K>>]
                "Arm's 64-bit stage 1, 16 KiB with the descriptors of `FEAT_LPA2`";
            Arm64S2_4K "arm64-s2/4K" [Arm64S2<Granule4K>] "Arm's 64-bit stage 2, 4 KiB";
            Arm64S2_16K "arm64-s2/16K" [Arm64S2<Granule16K>] "Arm's 64-bit stage 2, 16 KiB";
            Arm64S2_64K "arm64-s2/64K" [Arm64S2<Granule64K>] "Arm's 64-bit stage 2, 64 KiB";
            Arm64S2_4KLpa2 "arm64-s2/4K-LPA2" [Arm64S2<Lpa2<Granule4K>>]
                "Arm's 64-bit stage 2, 4 KiB with the descriptors of `FEAT_LPA2`";
            Arm64S2_16KLpa2 "arm64-s2/16K-LPA2" [Arm64S2<Lpa2<Granule16K>>]
                "Arm's 64-bit stage 2, 16 KiB with the descriptors of `FEAT_LPA2`";
            Arm32S1 "arm32-s1" [Arm32S1] "Arm's 32-bit stage 1 with long descriptors";
            Arm32S2 "arm32-s2" [Arm32S2] "Arm's 32-bit stage 2";
            ArmMali "arm-mali" [ArmMali] "Mali Midgard and Bifrost";
            ArmV7s "arm-v7s" [ArmV7s<Unextended>] "Arm's short descriptors";
            MediaTekV7s "mediatek-v7s" [ArmV7s<MediaTek>] "MediaTek's short descriptors";
            AmdV1 "amd-v1" [AmdV1] "AMD's host page tables";
            X86_64 "x86-64" [X86_64] "x86-64, AMD v2, VT-d's first stage";
            VtdS2 "vtd-s2" [VtdS2] "VT-d's second stage";
            RiscV "riscv" [RiscV<FirstStage>] "RISC-V's first stage: Sv39, Sv48, Sv57";
            Dart "dart" [Dart<T8020>] "Apple's DART as in the T8020";
            Dart2 "dart2" [Dart<T6000>] "Apple's DART as in the T6000";
            RiscVG "riscv-g" [RiscV<GStage>] "RISC-V's G-stage: Sv39x4, Sv48x4, Sv57x4";
        }
    };
}

/// `$call` on the `$inner` of whichever variant of `$any` it is that `$value` is.
macro_rules! on_each {
    ({ $any:ident, $value:expr, $inner:ident => $call:expr }
        $($variant:ident $text:literal [$format:ty] $about:literal;)*) => {
        match $value {
            $($any::$variant($inner) => $call,)*
        }
    };
}

/// The same, with what `$call` returns in the same variant of `$to`.
macro_rules! on_each_into {
    ({ $from:ident => $to:ident, $value:expr, $inner:ident => $call:expr }
        $($variant:ident $text:literal [$format:ty] $about:literal;)*) => {
        match $value {
            $($from::$variant($inner) => $call.map($to::$variant),)*
        }
    };
}

mod format;
mod registers;
mod reserved;
mod table;

pub use format::{AnyFormat, ParseFormatError};
pub use registers::AnyRegisters;
pub use reserved::AnyReserved;
pub use table::{AnyDump, AnyPageTable};
