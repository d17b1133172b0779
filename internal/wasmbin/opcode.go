package wasmbin

// Opcodes by the names of the core specification, section 5.4.
const (
	OpUnreachable  byte = 0x00
	OpBlock        byte = 0x02
	OpLoop         byte = 0x03
	OpIf           byte = 0x04
	OpElse         byte = 0x05
	OpThrow        byte = 0x08
	OpThrowRef     byte = 0x0a
	OpEnd          byte = 0x0b
	OpBr           byte = 0x0c
	OpBrIf         byte = 0x0d
	OpBrTable      byte = 0x0e
	OpReturn       byte = 0x0f
	OpCall         byte = 0x10
	OpCallIndirect byte = 0x11
	OpReturnCall   byte = 0x12
	OpDrop         byte = 0x1a
	OpSelect       byte = 0x1b
	OpSelectTyped  byte = 0x1c
	OpTryTable     byte = 0x1f
	OpLocalGet     byte = 0x20
	OpLocalSet     byte = 0x21
	OpLocalTee     byte = 0x22
	OpGlobalGet    byte = 0x23
	OpGlobalSet    byte = 0x24
	OpTableGet     byte = 0x25
	OpTableSet     byte = 0x26
	OpI32Load      byte = 0x28
	OpI64Load      byte = 0x29
	OpF32Load      byte = 0x2a
	OpF64Load      byte = 0x2b
	OpI32Load8U    byte = 0x2d
	OpI32Load16S   byte = 0x2e
	OpI32Load16U   byte = 0x2f
	OpI64Load16S   byte = 0x32
	OpI64Load16U   byte = 0x33
	OpI64Load32S   byte = 0x34
	OpI64Load32U   byte = 0x35
	OpI32Store     byte = 0x36
	OpI64Store     byte = 0x37
	OpF32Store     byte = 0x38
	OpF64Store     byte = 0x39
	OpI32Store16   byte = 0x3b
	OpI64Store16   byte = 0x3d
	OpI64Store32   byte = 0x3e
	OpMemorySize   byte = 0x3f
	OpMemoryGrow   byte = 0x40
	OpI32Const     byte = 0x41
	OpI64Const     byte = 0x42
	OpF32Const     byte = 0x43
	OpF64Const     byte = 0x44
	OpI32Eqz       byte = 0x45
	OpI32Eq        byte = 0x46
	OpI32Ne        byte = 0x47
	OpI32LtS       byte = 0x48
	OpI32LtU       byte = 0x49
	OpI32GtU       byte = 0x4b
	OpI32GeU       byte = 0x4f
	OpI64Eqz       byte = 0x50
	OpI64Eq        byte = 0x51
	OpI64GeU       byte = 0x5a
	OpF64Ge        byte = 0x66
	opI32Clz       byte = 0x67
	opI32Popcnt    byte = 0x69
	OpI32Mul       byte = 0x6c
	OpI32Add       byte = 0x6a
	OpI32Sub       byte = 0x6b
	OpI32And       byte = 0x71
	OpI32Or        byte = 0x72
	OpI32Shl       byte = 0x74
	OpI32ShrU      byte = 0x76
	opI64Clz       byte = 0x79
	OpI64Ctz       byte = 0x7a
	opI64Popcnt    byte = 0x7b
	OpI64Add       byte = 0x7c
	OpI64Sub       byte = 0x7d
	OpI64Mul       byte = 0x7e
	OpI64And       byte = 0x83
	OpI64Or        byte = 0x84
	OpI64Xor       byte = 0x85
	OpI64Shl       byte = 0x86
	OpI64ShrU      byte = 0x88
	opF32Abs       byte = 0x8b
	opF32Sqrt      byte = 0x91
	opF64Abs       byte = 0x99
	opF64Sqrt      byte = 0x9f
	OpI32WrapI64   byte = 0xa7
	OpI64ExtendI32 byte = 0xad // unsigned
	OpI64Extend32S byte = 0xc4
	OpRefNull      byte = 0xd0
	OpRefIsNull    byte = 0xd1
	OpRefFunc      byte = 0xd2
	OpMisc         byte = 0xfc
	OpVector       byte = 0xfd
)

// What follows OpMisc.
const (
	miscLastConversion uint32 = 7
	miscMemoryInit     uint32 = 8
	miscDataDrop       uint32 = 9
	MiscMemoryCopy     uint32 = 10 // destination's memory, source's memory
	MiscMemoryFill     uint32 = 11
	miscTableInit      uint32 = 12
	miscElemDrop       uint32 = 13
	miscTableCopy      uint32 = 14
	miscTableGrow      uint32 = 15
	miscTableSize      uint32 = 16
	miscTableFill      uint32 = 17
)

// Value types, and the type of a block that takes and gives nothing.
const (
	I32       byte = 0x7f
	I64       byte = 0x7e
	F32       byte = 0x7d
	F64       byte = 0x7c
	FuncRef   byte = 0x70
	ExternRef byte = 0x6f
	ExnRef    byte = 0x69
	NoResult  byte = 0x40
)

const typeFunction byte = 0x60
