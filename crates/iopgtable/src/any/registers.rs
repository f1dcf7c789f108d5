//! What to program, for any format.

use crate::format::{
    AmdV1Registers, ArmV7sRegisters, DartRegisters, MaliRegisters, RiscVRegisters, Stage1Registers,
    Stage1Registers32, Stage2Registers, Stage2Registers32, VtdS2Registers, X86_64Registers,
};

macro_rules! registers {
    ($($variant:ident($registers:ident);)*) => {
        /// What a driver programs, by the format of the table. The granule makes no difference to
        /// the registers that there are.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum AnyRegisters {
            $(#[doc = concat!("For [`", stringify!($variant), "`](crate::", stringify!($variant), ").")]
            $variant($registers),)*
        }

        $(impl From<$registers> for AnyRegisters {
            fn from(registers: $registers) -> Self {
                Self::$variant(registers)
            }
        })*
    };
}
registers! {
    Arm64S1(Stage1Registers);
    Arm64S2(Stage2Registers);
    Arm32S1(Stage1Registers32);
    Arm32S2(Stage2Registers32);
    ArmMali(MaliRegisters);
    ArmV7s(ArmV7sRegisters);
    AmdV1(AmdV1Registers);
    X86_64(X86_64Registers);
    VtdS2(VtdS2Registers);
    RiscV(RiscVRegisters);
    Dart(DartRegisters);
}
