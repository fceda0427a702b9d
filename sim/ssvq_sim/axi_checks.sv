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

  function automatic void require(input bit holds, input string rule);
    if (!holds) bench_violation(report, rule, cycle);
  endfunction

  function automatic void check_burst(
      input string channel, input bit [ADDR_WIDTH-1:0] addr, input bit [7:0] len, input bit [2:0] size,
      input bit [1:0] burst);
    require(burst == 2'b01, {channel, ": the burst type must be INCR"});
    require(1 << size == Beat, {channel, ": a beat must be as wide as the bus"});
    require(addr % Beat == 0, {channel, ": the address must be aligned to a beat"});
    require(32'(len) < MAX_BEATS, {channel, ": the burst is longer than the core may issue"});
    require(32'(addr[11:0]) + (32'(len) + 1) * Beat <= 4096, {channel, ": the burst crosses 4 KB"});
  endfunction

  always @(posedge clk) begin
    cycle <= cycle + 1;
    was_reset <= rstn;
    if (!rstn) begin
      {ar_held, aw_held, w_held, b_held, r_held} <= '0;
      {first, opened, beat, unanswered} = '0;
    end else begin
      if (!was_reset) require(!(arvalid || awvalid || wvalid), "a valid is high in the cycle after reset");
      if (ar_held) require(arvalid && ar == ar_was, "AR: valid or payload changed before ready");
      if (aw_held) require(awvalid && aw == aw_was, "AW: valid or payload changed before ready");
      if (w_held) require(wvalid && w == w_was, "W: valid or payload changed before ready");
      if (b_held) require(s_bvalid && s_bresp == b_was, "AXI4-Lite B: valid or payload changed before ready");
      if (r_held) require(s_rvalid && {s_rdata, s_rresp} == r_was, "AXI4-Lite R: valid or payload changed before ready");
      ar_held <= arvalid && !arready;
      aw_held <= awvalid && !awready;
      w_held <= wvalid && !wready;
      b_held <= s_bvalid && !s_bready;
      r_held <= s_rvalid && !s_rready;
      if (arvalid && !ar_held) check_burst("AR", araddr, arlen, arsize, arburst);
      if (awvalid && !aw_held) check_burst("AW", awaddr, awlen, awsize, awburst);
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
        require(first != opened, "W: data before its address was accepted");
        require(wlast == (beat == lengths[first]), "W: WLAST is not at the end of the burst");
        beat++;
        if (wlast) begin
          first++;
          beat = '0;
        end
      end
      if (bvalid && bready) begin
        require(unanswered != 0, "B: a response without a burst");
        unanswered--;
      end
    end
  end
endmodule
