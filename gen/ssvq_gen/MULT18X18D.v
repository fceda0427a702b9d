// For simulation only: what a core uses of the multiplier block of an ECP5. Synthesis takes the vendor's own.
//
// Operands and product each have a register or none, on CLK0, enabled by CE0 or CE3. There is no reset, no pipeline
// register and no cascade: where a setting asks for what is not here, a module is missing that is named after the fault.

module MULT18X18D #(
    parameter REG_INPUTA_CLK = "NONE",
    parameter REG_INPUTA_CE = "CE0",
    parameter REG_INPUTB_CLK = "NONE",
    parameter REG_INPUTB_CE = "CE0",
    parameter REG_PIPELINE_CLK = "NONE",
    parameter REG_PIPELINE_CE = "CE0",
    parameter REG_OUTPUT_CLK = "NONE",
    parameter REG_OUTPUT_CE = "CE0",
    parameter GSR = "ENABLED"
) (
    input wire A0, A1, A2, A3, A4, A5, A6, A7, A8,
    input wire A9, A10, A11, A12, A13, A14, A15, A16, A17,
    input wire B0, B1, B2, B3, B4, B5, B6, B7, B8,
    input wire B9, B10, B11, B12, B13, B14, B15, B16, B17,
    input wire SIGNEDA, SIGNEDB, SOURCEA, SOURCEB, CLK0, CE0, CE3,
    output wire P0, P1, P2, P3, P4, P5, P6, P7, P8,
    output wire P9, P10, P11, P12, P13, P14, P15, P16, P17,
    output wire P18, P19, P20, P21, P22, P23, P24, P25, P26,
    output wire P27, P28, P29, P30, P31, P32, P33, P34, P35
);
    wire [17:0] a = SOURCEA ? 18'bx : {
        A17, A16, A15, A14, A13, A12, A11, A10, A9,
        A8, A7, A6, A5, A4, A3, A2, A1, A0
    };
    wire [17:0] b = SOURCEB ? 18'bx : {
        B17, B16, B15, B14, B13, B12, B11, B10, B9,
        B8, B7, B6, B5, B4, B3, B2, B1, B0
    };
    reg [17:0] held_a, held_b;
    reg [35:0] held_product;

    wire [17:0] used_a = REG_INPUTA_CLK == "CLK0" ? held_a : a;
    wire [17:0] used_b = REG_INPUTB_CLK == "CLK0" ? held_b : b;
    // With one more bit an operand is signed or not, as its port says.
    wire signed [18:0] left = {SIGNEDA & used_a[17], used_a};
    wire signed [18:0] right = {SIGNEDB & used_b[17], used_b};
    wire signed [37:0] exact = left * right;
    wire [35:0] product;
    wire [1:0] unused_signs;
    assign {unused_signs, product} = exact;

    always @(posedge CLK0) begin
        if (REG_INPUTA_CE == "CE3" ? CE3 : CE0) held_a <= a;
        if (REG_INPUTB_CE == "CE3" ? CE3 : CE0) held_b <= b;
        if (REG_OUTPUT_CE == "CE3" ? CE3 : CE0) held_product <= product;
    end

    assign {
        P35, P34, P33, P32, P31, P30, P29, P28, P27,
        P26, P25, P24, P23, P22, P21, P20, P19, P18,
        P17, P16, P15, P14, P13, P12, P11, P10, P9,
        P8, P7, P6, P5, P4, P3, P2, P1, P0
    } = REG_OUTPUT_CLK == "CLK0" ? held_product : product;

    generate
        if (REG_INPUTA_CLK != "NONE" && REG_INPUTA_CLK != "CLK0") begin : clock_of_A
            MULT18X18D_model_has_no_such_clock fault();
        end
        if (REG_INPUTA_CE != "CE0" && REG_INPUTA_CE != "CE3") begin : enable_of_A
            MULT18X18D_model_has_no_such_enable fault();
        end
        if (REG_INPUTB_CLK != "NONE" && REG_INPUTB_CLK != "CLK0") begin : clock_of_B
            MULT18X18D_model_has_no_such_clock fault();
        end
        if (REG_INPUTB_CE != "CE0" && REG_INPUTB_CE != "CE3") begin : enable_of_B
            MULT18X18D_model_has_no_such_enable fault();
        end
        if (REG_OUTPUT_CLK != "NONE" && REG_OUTPUT_CLK != "CLK0") begin : clock_of_P
            MULT18X18D_model_has_no_such_clock fault();
        end
        if (REG_OUTPUT_CE != "CE0" && REG_OUTPUT_CE != "CE3") begin : enable_of_P
            MULT18X18D_model_has_no_such_enable fault();
        end
        if (REG_PIPELINE_CLK != "NONE" || REG_PIPELINE_CE != REG_OUTPUT_CE) begin : pipeline
            MULT18X18D_model_has_no_pipeline_register fault();
        end
        if (GSR != "DISABLED") begin : reset
            MULT18X18D_model_has_no_reset fault();
        end
    endgenerate
endmodule
