// Rules of AXI4 and AXI4-Lite that the core must keep. A broken one ends the simulation and is named.
module axi_checks #(
    parameter int ADDR_WIDTH = 40,
    parameter int DATA_WIDTH = 64,
    parameter int MAX_BEATS = 16
) (
    input logic                    clk,
    input logic                    rstn,
    input logic                    arvalid,
    input logic                    arready,
    input logic [ADDR_WIDTH-1:0]   araddr,
    input logic [7:0]              arlen,
    input logic [2:0]              arsize,
    input logic [1:0]              arburst,
    input logic                    awvalid,
    input logic                    awready,
    input logic [ADDR_WIDTH-1:0]   awaddr,
    input logic [7:0]              awlen,
    input logic [2:0]              awsize,
    input logic [1:0]              awburst,
    input logic                    wvalid,
    input logic                    wready,
    input logic [DATA_WIDTH-1:0]   wdata,
    input logic [DATA_WIDTH/8-1:0] wstrb,
    input logic                    wlast,
    input logic                    bvalid,
    input logic                    bready,
    input logic                    s_bvalid,
    input logic                    s_bready,
    input logic [1:0]              s_bresp,
    input logic                    s_rvalid,
    input logic                    s_rready,
    input logic [31:0]             s_rdata,
    input logic [1:0]              s_rresp
);
  import "DPI-C" function void bench_violation(input string path, input string rule, input longint cycle);

  localparam int Beat = DATA_WIDTH / 8;
  localparam int AddressWidth = ADDR_WIDTH + 13;

  string report;
  initial if (!$value$plusargs("violation=%s", report)) report = "violation.txt";

  longint cycle;
  // Before the first reset, the core and the reset itself may have any values.
  bit reset_seen;
  initial reset_seen = 1'b0;
  bit was_reset;
  bit ar_held, aw_held, w_held, b_held, r_held;
  bit [AddressWidth-1:0] ar_was, aw_was;
  bit [DATA_WIDTH+Beat:0] w_was;
  bit [1:0] b_was;
  bit [33:0] r_was;
  // Beats of the accepted addresses whose data is still to come.
  bit [7:0] lengths[256];
  bit [7:0] first, opened, beat;
  bit [8:0] unanswered;

  wire [AddressWidth-1:0] ar = {araddr, arlen, arsize, arburst};
  wire [AddressWidth-1:0] aw = {awaddr, awlen, awsize, awburst};
  wire [DATA_WIDTH+Beat:0] w = {wdata, wstrb, wlast};

  // Called for a broken rule only: strings cost time.
  function automatic void broken(input string rule);
    bench_violation(report, rule, cycle);
  endfunction

  function automatic void check_burst(
      input bit writes, input bit [ADDR_WIDTH-1:0] addr, input bit [7:0] len, input bit [2:0] size,
      input bit [1:0] burst);
    string channel = writes ? "AW" : "AR";
    if (burst != 2'b01) broken({channel, ": the burst type must be INCR"});
    if (1 << size != Beat) broken({channel, ": a beat must be as wide as the bus"});
    if (addr % ADDR_WIDTH'(Beat) != 0) broken({channel, ": the address must be aligned to a beat"});
    if (32'(len) >= MAX_BEATS) broken({channel, ": the burst is longer than the core may issue"});
    if (32'(addr[11:0]) + (32'(len) + 1) * Beat > 4096) broken({channel, ": the burst crosses 4 KB"});
  endfunction

  always @(posedge clk) begin
    cycle <= cycle + 1;
    was_reset <= rstn;
    if (!rstn) begin
      reset_seen <= 1'b1;
      {ar_held, aw_held, w_held, b_held, r_held} <= '0;
      {first, opened, beat, unanswered} = '0;
    end else if (reset_seen) begin
      if (!was_reset && (arvalid || awvalid || wvalid)) broken("a valid is high in the cycle after reset");
      if (ar_held && !(arvalid && ar == ar_was)) broken("AR: valid or payload changed before ready");
      if (aw_held && !(awvalid && aw == aw_was)) broken("AW: valid or payload changed before ready");
      if (w_held && !(wvalid && w == w_was)) broken("W: valid or payload changed before ready");
      if (b_held && !(s_bvalid && s_bresp == b_was)) broken("AXI4-Lite B: valid or payload changed before ready");
      if (r_held && !(s_rvalid && {s_rdata, s_rresp} == r_was))
        broken("AXI4-Lite R: valid or payload changed before ready");
      ar_held <= arvalid && !arready;
      aw_held <= awvalid && !awready;
      w_held <= wvalid && !wready;
      b_held <= s_bvalid && !s_bready;
      r_held <= s_rvalid && !s_rready;
      if (arvalid && !ar_held) check_burst(1'b0, araddr, arlen, arsize, arburst);
      if (awvalid && !aw_held) check_burst(1'b1, awaddr, awlen, awsize, awburst);
      ar_was <= ar;
      aw_was <= aw;
      w_was <= w;
      b_was <= s_bresp;
      r_was <= {s_rdata, s_rresp};

      if (awvalid && awready) begin
        lengths[opened] = awlen;
        opened++;
        unanswered++;
      end
      if (wvalid && wready) begin
        if (first == opened) broken("W: data before its address was accepted");
        if (wlast != (beat == lengths[first])) broken("W: WLAST is not at the end of the burst");
        beat++;
        if (wlast) begin
          first++;
          beat = '0;
        end
      end
      if (bvalid && bready) begin
        if (unanswered == 0) broken("B: a response without a burst");
        unanswered--;
      end
    end
  end
endmodule
