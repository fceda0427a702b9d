// Self-checking: reads what identifies the core, runs one job from memory.hex and compares what it wrote with
// expected.hex. Prints PASS and ends, or ends with $fatal. Verilog-2005.
`timescale 1ns / 1ps
module ssvq_core_tb;
  `include "ssvq_core_tb.vh"

  localparam integer BEAT_BYTES = DATA_WIDTH / 8;
  localparam integer LAST_BEAT = MEMORY_BYTES - BEAT_BYTES;
  localparam [1:0] OKAY = 2'b00, DECERR = 2'b11;

  reg aclk = 1'b0;
  reg aresetn = 1'b0;
  wire irq;
  always #5 aclk = ~aclk;

  reg [AXIL_ADDR_WIDTH-1:0] s_axil_awaddr = 0, s_axil_araddr = 0;
  reg [31:0] s_axil_wdata = 0;
  reg s_axil_awvalid = 0, s_axil_wvalid = 0, s_axil_bready = 0, s_axil_arvalid = 0, s_axil_rready = 0;
  wire s_axil_awready, s_axil_wready, s_axil_bvalid, s_axil_arready, s_axil_rvalid;
  wire [1:0] s_axil_bresp, s_axil_rresp;
  wire [31:0] s_axil_rdata;

  wire [ADDR_WIDTH-1:0] m_axi_araddr, m_axi_awaddr;
  wire [7:0] m_axi_arlen, m_axi_awlen;
  wire m_axi_arvalid, m_axi_rready, m_axi_awvalid, m_axi_wvalid, m_axi_wlast, m_axi_bready;
  wire [DATA_WIDTH-1:0] m_axi_wdata;
  wire [BEAT_BYTES-1:0] m_axi_wstrb;
  reg [DATA_WIDTH-1:0] m_axi_rdata = 0;
  reg [1:0] m_axi_rresp = 0, m_axi_bresp = 0;
  reg m_axi_rlast = 0, m_axi_rvalid = 0, m_axi_bvalid = 0;

  // Memory: one burst of each direction at a time, answered with DECERR outside of the window.
  reg [7:0] memory[0:MEMORY_BYTES-1];
  reg [7:0] expected[0:OUTPUT_BYTES-1];
  reg reading = 1'b0, writing = 1'b0;
  reg [ADDR_WIDTH-1:0] read_addr = 0, write_addr = 0;
  reg [7:0] read_left = 0;
  reg write_fault = 1'b0;
  wire m_axi_arready = !reading;
  wire m_axi_awready = !writing && !m_axi_bvalid;
  wire m_axi_wready = writing;

  ssvq_core core (
      .aclk(aclk), .aresetn(aresetn), .irq(irq),
      .s_axil_awaddr(s_axil_awaddr), .s_axil_awprot(3'b000), .s_axil_awvalid(s_axil_awvalid),
      .s_axil_awready(s_axil_awready), .s_axil_wdata(s_axil_wdata), .s_axil_wstrb(4'b1111),
      .s_axil_wvalid(s_axil_wvalid), .s_axil_wready(s_axil_wready), .s_axil_bresp(s_axil_bresp),
      .s_axil_bvalid(s_axil_bvalid), .s_axil_bready(s_axil_bready), .s_axil_araddr(s_axil_araddr),
      .s_axil_arprot(3'b000), .s_axil_arvalid(s_axil_arvalid), .s_axil_arready(s_axil_arready),
      .s_axil_rdata(s_axil_rdata), .s_axil_rresp(s_axil_rresp), .s_axil_rvalid(s_axil_rvalid),
      .s_axil_rready(s_axil_rready),
      .m_axi_arid(), .m_axi_araddr(m_axi_araddr), .m_axi_arlen(m_axi_arlen), .m_axi_arsize(), .m_axi_arburst(),
      .m_axi_arlock(), .m_axi_arcache(), .m_axi_arprot(), .m_axi_arqos(), .m_axi_arvalid(m_axi_arvalid),
      .m_axi_arready(m_axi_arready), .m_axi_rid(1'b0), .m_axi_rdata(m_axi_rdata), .m_axi_rresp(m_axi_rresp),
      .m_axi_rlast(m_axi_rlast), .m_axi_rvalid(m_axi_rvalid), .m_axi_rready(m_axi_rready),
      .m_axi_awid(), .m_axi_awaddr(m_axi_awaddr), .m_axi_awlen(m_axi_awlen), .m_axi_awsize(), .m_axi_awburst(),
      .m_axi_awlock(), .m_axi_awcache(), .m_axi_awprot(), .m_axi_awqos(), .m_axi_awvalid(m_axi_awvalid),
      .m_axi_awready(m_axi_awready), .m_axi_wdata(m_axi_wdata), .m_axi_wstrb(m_axi_wstrb),
      .m_axi_wlast(m_axi_wlast), .m_axi_wvalid(m_axi_wvalid), .m_axi_wready(m_axi_wready), .m_axi_bid(1'b0),
      .m_axi_bresp(m_axi_bresp), .m_axi_bvalid(m_axi_bvalid), .m_axi_bready(m_axi_bready)
  );

  wire [ADDR_WIDTH-1:0] read_offset = read_addr - MEMORY_BASE;
  wire [ADDR_WIDTH-1:0] write_offset = write_addr - MEMORY_BASE;
  wire read_inside = read_offset <= LAST_BEAT;
  wire write_inside = write_offset <= LAST_BEAT;

  integer lane;
  always @(posedge aclk) begin
    if (m_axi_rvalid && m_axi_rready) m_axi_rvalid <= 1'b0;
    if (m_axi_arvalid && m_axi_arready) begin
      reading <= 1'b1;
      read_addr <= m_axi_araddr;
      read_left <= m_axi_arlen;
    end else if (reading && (!m_axi_rvalid || m_axi_rready)) begin
      for (lane = 0; lane < BEAT_BYTES; lane = lane + 1)
        m_axi_rdata[8*lane+:8] <= read_inside ? memory[read_offset[31:0]+lane] : 8'd0;
      m_axi_rresp <= read_inside ? OKAY : DECERR;
      m_axi_rvalid <= 1'b1;
      m_axi_rlast <= read_left == 0;
      read_addr <= read_addr + BEAT_BYTES;
      read_left <= read_left - 1;
      if (read_left == 0) reading <= 1'b0;
    end

    if (m_axi_bvalid && m_axi_bready) m_axi_bvalid <= 1'b0;
    if (m_axi_awvalid && m_axi_awready) begin
      writing <= 1'b1;
      write_addr <= m_axi_awaddr;
      write_fault <= 1'b0;
    end
    if (m_axi_wvalid && m_axi_wready) begin
      for (lane = 0; lane < BEAT_BYTES; lane = lane + 1)
        if (m_axi_wstrb[lane] && write_inside) memory[write_offset[31:0]+lane] <= m_axi_wdata[8*lane+:8];
      write_fault <= write_fault || !write_inside;
      write_addr <= write_addr + BEAT_BYTES;
      if (m_axi_wlast) begin
        writing <= 1'b0;
        m_axi_bvalid <= 1'b1;
        m_axi_bresp <= write_fault || !write_inside ? DECERR : OKAY;
      end
    end
  end

  // Registers: driven at falling edges, in the middle of what the core samples; handshakes are seen at rising ones.
  reg aw_taken = 0, w_taken = 0, b_taken = 0, ar_taken = 0, r_taken = 0;
  reg [1:0] response = 0;
  reg [31:0] value = 0;
  always @(posedge aclk) begin
    aw_taken <= s_axil_awvalid && s_axil_awready;
    w_taken <= s_axil_wvalid && s_axil_wready;
    b_taken <= s_axil_bvalid && s_axil_bready;
    ar_taken <= s_axil_arvalid && s_axil_arready;
    r_taken <= s_axil_rvalid && s_axil_rready;
    response <= s_axil_bvalid ? s_axil_bresp : s_axil_rresp;
    value <= s_axil_rdata;
  end

  task write_register(input [AXIL_ADDR_WIDTH-1:0] addr, input [31:0] word);
    begin
      s_axil_awaddr = addr;
      s_axil_wdata = word;
      s_axil_awvalid = 1'b1;
      s_axil_wvalid = 1'b1;
      s_axil_bready = 1'b1;
      @(negedge aclk);
      while (!b_taken) begin
        if (aw_taken) s_axil_awvalid = 1'b0;
        if (w_taken) s_axil_wvalid = 1'b0;
        @(negedge aclk);
      end
      s_axil_bready = 1'b0;
      if (response !== OKAY) $fatal(1, "FAIL register %h: write answered with %0d", addr, response);
    end
  endtask

  task read_register(input [AXIL_ADDR_WIDTH-1:0] addr);
    begin
      s_axil_araddr = addr;
      s_axil_arvalid = 1'b1;
      s_axil_rready = 1'b1;
      @(negedge aclk);
      while (!r_taken) begin
        if (ar_taken) s_axil_arvalid = 1'b0;
        @(negedge aclk);
      end
      s_axil_rready = 1'b0;
      if (response !== OKAY) $fatal(1, "FAIL register %h: read answered with %0d", addr, response);
    end
  endtask

  task expect_register(input [AXIL_ADDR_WIDTH-1:0] addr, input [31:0] wanted);
    begin
      read_register(addr);
      if (value !== wanted) $fatal(1, "FAIL register %h: %h instead of %h", addr, value, wanted);
    end
  endtask

  integer index, wrong, cycles;
  initial begin
    $readmemh("memory.hex", memory);
    $readmemh("expected.hex", expected);
    repeat (8) @(negedge aclk);
    aresetn = 1'b1;
    repeat (2) @(negedge aclk);

    expect_register(REG_ID, EXPECTED_ID);
    expect_register(REG_VERSION, EXPECTED_VERSION);
    expect_register(REG_DIGEST_LO, EXPECTED_DIGEST_LO);
    expect_register(REG_DIGEST_HI, EXPECTED_DIGEST_HI);
    expect_register(REG_STATUS, 32'd0);

    write_register(REG_MEMORY_BASE_LO, MEMORY_BASE);
    write_register(REG_MEMORY_BASE_HI, 32'd0);
    write_register(REG_MEMORY_SIZE, MEMORY_BYTES);
    write_register(REG_DESCRIPTOR_OFFSET, FIRST_DESCRIPTOR);
    write_register(REG_DESCRIPTOR_COUNT, DESCRIPTORS);
    write_register(REG_WATCHDOG_CYCLES, TIMEOUT_CYCLES / 2);
    write_register(REG_IRQ_ENABLE, EVENTS);
    if (irq !== 1'b0) $fatal(1, "FAIL irq is raised before the job");
    write_register(REG_CONTROL, START);
    cycles = 0;
    while (irq !== 1'b1) begin
      @(negedge aclk);
      cycles = cycles + 1;
    end

    read_register(REG_STATUS);
    if (value !== DONE) begin
      read_register(REG_ERROR_CODE);
      $fatal(1, "FAIL the job ended with ERROR_CODE %0d", value);
    end
    expect_register(REG_IRQ_STATUS, DONE_EVENT);
    expect_register(REG_DESCRIPTORS_DONE, DESCRIPTORS);
    wrong = 0;
    for (index = 0; index < OUTPUT_BYTES; index = index + 1)
      if (memory[OUTPUT_OFFSET+index] !== expected[index]) begin
        wrong = wrong + 1;
        if (wrong <= 8)
          $display("byte %0d of the output is %h instead of %h", index, memory[OUTPUT_OFFSET+index], expected[index]);
      end
    if (wrong != 0) $fatal(1, "FAIL %0d of %0d bytes of the output are wrong", wrong, OUTPUT_BYTES);

    write_register(REG_IRQ_STATUS, EVENTS);
    write_register(REG_CONTROL, CLEAR);
    expect_register(REG_STATUS, 32'd0);
    if (irq !== 1'b0) $fatal(1, "FAIL irq stays raised");
    $display("PASS: %0d bytes of output as the reference has them, job of %0d cycles", OUTPUT_BYTES, cycles);
    $finish;
  end

  initial begin
    repeat (TIMEOUT_CYCLES) @(posedge aclk);
    $fatal(1, "FAIL no end after %0d cycles", TIMEOUT_CYCLES);
  end
endmodule
