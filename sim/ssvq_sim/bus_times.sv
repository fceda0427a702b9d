// When things happened on the bus, in cycles since `clear`; 0 is never.
module bus_times (
    input  logic        clk,
    input  logic        clear,
    input  logic        arvalid,
    input  logic        arready,
    input  logic        awvalid,
    input  logic        awready,
    input  logic        rvalid,
    input  logic        rready,
    input  logic [1:0]  rresp,
    input  logic        bvalid,
    input  logic        bready,
    input  logic [1:0]  bresp,
    input  logic        irq,
    output logic [31:0] first_error,   // the first answer that is an error
    output logic [31:0] last_request,  // the last cycle in which a burst was offered that was not before
    output logic [31:0] interrupt
);
  bit [31:0] cycle;
  bit ar_held, aw_held;
  wire read = rvalid && rready, answered = bvalid && bready;

  always @(posedge clk) begin
    ar_held <= arvalid && !arready;
    aw_held <= awvalid && !awready;
    if (clear) begin
      cycle <= 1;
      {first_error, last_request, interrupt} <= '0;
    end else begin
      cycle <= cycle + 1;
      if ((arvalid && !ar_held) || (awvalid && !aw_held)) last_request <= cycle;
      if (first_error == 0 && ((read && rresp[1]) || (answered && bresp[1]))) first_error <= cycle;
      if (interrupt == 0 && irq) interrupt <= cycle;
    end
  end
endmodule
