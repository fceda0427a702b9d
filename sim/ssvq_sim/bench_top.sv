// The core, its memory and the protocol checks. Python drives the register port and what begins with `bus_`.
`ifndef SSVQ_ADDR_WIDTH
`define SSVQ_ADDR_WIDTH 40
`endif
`ifndef SSVQ_DATA_WIDTH
`define SSVQ_DATA_WIDTH 64
`endif
`ifndef SSVQ_MAX_BEATS
`define SSVQ_MAX_BEATS 16
`endif
// With SSVQ_MUTANT_WIDTH the core has been given a selector of mutants of that width; 0 is the core itself.
module bench_top (
`ifdef SSVQ_MUTANT_WIDTH
    input  logic [`SSVQ_MUTANT_WIDTH-1:0] bus_mutant,
`endif
    input  logic         aclk,
    input  logic         aresetn,
    output logic         irq,
    input  logic [11:0]  s_axil_awaddr,
    input  logic         s_axil_awvalid,
    output logic         s_axil_awready,
    input  logic [31:0]  s_axil_wdata,
    input  logic [3:0]   s_axil_wstrb,
    input  logic         s_axil_wvalid,
    output logic         s_axil_wready,
    output logic [1:0]   s_axil_bresp,
    output logic         s_axil_bvalid,
    input  logic         s_axil_bready,
    input  logic [11:0]  s_axil_araddr,
    input  logic         s_axil_arvalid,
    output logic         s_axil_arready,
    output logic [31:0]  s_axil_rdata,
    output logic [1:0]   s_axil_rresp,
    output logic         s_axil_rvalid,
    input  logic         s_axil_rready,
    input  logic [63:0]  bus_base,
    input  logic [15:0]  bus_latency,
    input  logic [7:0]   bus_bytes_per_cycle,
    input  logic [31:0]  bus_seed,
    input  logic [7:0]   bus_stall_ar,
    input  logic [7:0]   bus_stall_r,
    input  logic [7:0]   bus_stall_aw,
    input  logic [7:0]   bus_stall_w,
    input  logic [7:0]   bus_stall_b,
    input  logic [4:0]   bus_hang,
    input  logic [255:0] bus_fault_first,
    input  logic [255:0] bus_fault_last,
    input  logic [7:0]   bus_fault_response,
    input  logic [3:0]   bus_fault_reads,
    input  logic [3:0]   bus_fault_writes,
    output logic [31:0]  bus_read_beats,
    output logic [31:0]  bus_write_beats,
    input  logic         bus_clear_times,
    output logic [31:0]  bus_first_error,
    output logic [31:0]  bus_last_request,
    output logic [31:0]  bus_interrupt
);
  import "DPI-C" function longint dram_open(input string path);

  localparam int Addr = `SSVQ_ADDR_WIDTH;
  localparam int Data = `SSVQ_DATA_WIDTH;

  string file;
  bit [63:0] size;
  initial begin
    if (!$value$plusargs("dram=%s", file)) file = "dram.bin";
    size = 64'(dram_open(file));
  end

  wire arvalid, arready, rvalid, rready, rlast, awvalid, awready, wvalid, wready, wlast, bvalid, bready;
  wire [Addr-1:0] araddr, awaddr;
  wire [7:0] arlen, awlen;
  wire [2:0] arsize, awsize;
  wire [1:0] arburst, awburst, rresp, bresp;
  wire [Data-1:0] rdata, wdata;
  wire [Data/8-1:0] wstrb;

`ifdef SSVQ_MUTANT_WIDTH
  // A register: what depends on an input directly is evaluated at both edges of the clock.
  logic [`SSVQ_MUTANT_WIDTH-1:0] mutant;
  always_ff @(posedge aclk) mutant <= bus_mutant;
`endif

  ssvq_core core (
`ifdef SSVQ_MUTANT_WIDTH
      .mutant,
`endif
      .aclk, .aresetn, .irq,
      .s_axil_awaddr, .s_axil_awprot(3'b000), .s_axil_awvalid, .s_axil_awready,
      .s_axil_wdata, .s_axil_wstrb, .s_axil_wvalid, .s_axil_wready,
      .s_axil_bresp, .s_axil_bvalid, .s_axil_bready,
      .s_axil_araddr, .s_axil_arprot(3'b000), .s_axil_arvalid, .s_axil_arready,
      .s_axil_rdata, .s_axil_rresp, .s_axil_rvalid, .s_axil_rready,
      .m_axi_arid(), .m_axi_araddr(araddr), .m_axi_arlen(arlen), .m_axi_arsize(arsize), .m_axi_arburst(arburst),
      .m_axi_arlock(), .m_axi_arcache(), .m_axi_arprot(), .m_axi_arqos(),
      .m_axi_arvalid(arvalid), .m_axi_arready(arready),
      .m_axi_rid(1'b0), .m_axi_rdata(rdata), .m_axi_rresp(rresp), .m_axi_rlast(rlast),
      .m_axi_rvalid(rvalid), .m_axi_rready(rready),
      .m_axi_awid(), .m_axi_awaddr(awaddr), .m_axi_awlen(awlen), .m_axi_awsize(awsize), .m_axi_awburst(awburst),
      .m_axi_awlock(), .m_axi_awcache(), .m_axi_awprot(), .m_axi_awqos(),
      .m_axi_awvalid(awvalid), .m_axi_awready(awready),
      .m_axi_wdata(wdata), .m_axi_wstrb(wstrb), .m_axi_wlast(wlast), .m_axi_wvalid(wvalid), .m_axi_wready(wready),
      .m_axi_bid(1'b0), .m_axi_bresp(bresp), .m_axi_bvalid(bvalid), .m_axi_bready(bready)
  );

  dram #(.ADDR_WIDTH(Addr), .DATA_WIDTH(Data)) memory (
      .clk(aclk), .rstn(aresetn), .base(bus_base), .size,
      .latency(bus_latency), .bytes_per_cycle(bus_bytes_per_cycle), .seed(bus_seed),
      .stall_ar(bus_stall_ar), .stall_r(bus_stall_r), .stall_aw(bus_stall_aw), .stall_w(bus_stall_w),
      .stall_b(bus_stall_b), .hang(bus_hang),
      .fault_first(bus_fault_first), .fault_last(bus_fault_last), .fault_response(bus_fault_response),
      .fault_reads(bus_fault_reads), .fault_writes(bus_fault_writes),
      .read_beats(bus_read_beats), .write_beats(bus_write_beats),
      .arvalid, .arready, .araddr, .arlen, .rvalid, .rready, .rdata, .rresp, .rlast,
      .awvalid, .awready, .awaddr, .wvalid, .wready, .wdata, .wstrb, .wlast, .bvalid, .bready, .bresp
  );

  bus_times times (
      .clk(aclk), .clear(bus_clear_times), .arvalid, .arready, .awvalid, .awready,
      .rvalid, .rready, .rresp, .bvalid, .bready, .bresp, .irq,
      .first_error(bus_first_error), .last_request(bus_last_request),
      .interrupt(bus_interrupt)
  );

  axi_checks #(.ADDR_WIDTH(Addr), .DATA_WIDTH(Data), .MAX_BEATS(`SSVQ_MAX_BEATS)) checks (
      .clk(aclk), .rstn(aresetn),
      .arvalid, .arready, .araddr, .arlen, .arsize, .arburst,
      .awvalid, .awready, .awaddr, .awlen, .awsize, .awburst,
      .wvalid, .wready, .wdata, .wstrb, .wlast, .bvalid, .bready,
      .s_bvalid(s_axil_bvalid), .s_bready(s_axil_bready), .s_bresp(s_axil_bresp),
      .s_rvalid(s_axil_rvalid), .s_rready(s_axil_rready), .s_rdata(s_axil_rdata), .s_rresp(s_axil_rresp)
  );
endmodule
