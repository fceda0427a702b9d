// What passes the core's ports, for functional coverage: a line for each event in the file `+bus_log=`, with the time in
// ns. It only listens, bound into the bench. Numbers are decimal but for addresses and descriptors.
//
//   T start BASE OFFSET COUNT      a job begins, with these registers
//   T register ADDRESS DATA        the host has read a register
//   T descriptor INDEX DATA        the core has read a whole descriptor of the job
//   T reads ADDRESS AR R           a burst has ended; cycles that the core waited for each channel
//   T writes ADDRESS AW W B
//
// The core waits when an address or a word that it offers is not taken, and when a beat or response that is due is not
// offered: the address, or the last word, has been taken in a cycle before. A word is not waited for before its address
// is taken. A START counts when the core is idle: after a job, when the host has read in STATUS that it is.
module bus_log #(
    parameter int CONTROL = `SSVQ_CONTROL,
    parameter int STATUS = `SSVQ_STATUS,
    parameter int MEMORY_BASE_LO = `SSVQ_MEMORY_BASE_LO,
    parameter int MEMORY_BASE_HI = `SSVQ_MEMORY_BASE_HI,
    parameter int DESCRIPTOR_OFFSET = `SSVQ_DESCRIPTOR_OFFSET,
    parameter int DESCRIPTOR_COUNT = `SSVQ_DESCRIPTOR_COUNT,
    parameter int START = `SSVQ_START,
    parameter int DESCRIPTOR_BYTES = `SSVQ_DESCRIPTOR_BYTES
) (
    input logic        aclk,
    input logic        aresetn,
    input logic [11:0] s_axil_awaddr,
    input logic        s_axil_awvalid,
    input logic        s_axil_awready,
    input logic [31:0] s_axil_wdata,
    input logic [3:0]  s_axil_wstrb,
    input logic        s_axil_wvalid,
    input logic        s_axil_wready,
    input logic [11:0] s_axil_araddr,
    input logic        s_axil_arvalid,
    input logic        s_axil_arready,
    input logic [31:0] s_axil_rdata,
    input logic        s_axil_rvalid,
    input logic        s_axil_rready,
    input logic        arvalid,
    input logic        arready,
    input logic [63:0] araddr,
    input logic        rvalid,
    input logic        rready,
    input logic        rlast,
    input logic [`SSVQ_DATA_WIDTH-1:0] rdata,
    input logic        awvalid,
    input logic        awready,
    input logic [63:0] awaddr,
    input logic        wvalid,
    input logic        wready,
    input logic        wlast,
    input logic        bvalid,
    input logic        bready
);
  localparam int BeatBytes = `SSVQ_DATA_WIDTH / 8;

  typedef bit [31:0] count_t;
  typedef struct packed {
    bit [63:0] address;
    count_t    waits;  // for the address to be taken
    count_t    data_waits;
  } burst_t;

  string name;
  int file;
  initial begin
    if (!$value$plusargs("bus_log=%s", name)) name = "bus_log.txt";
    file = $fopen(name, "w");
  end

  // The register port, and the registers that say where the descriptors are
  bit [11:0] write_address, read_address;
  bit [31:0] write_data;
  bit [3:0] write_strobes;
  bit has_address, has_data, is_taken;
  bit [31:0] base_low, base_high, offset, descriptors;
  bit [63:0] table_first, table_end;

  function automatic bit [31:0] merged(input bit [31:0] old);
    for (int i = 0; i < 4; i++) merged[8*i+:8] = write_strobes[i] ? write_data[8*i+:8] : old[8*i+:8];
  endfunction

  // The memory port
  burst_t reads[$], writes[$], answers[$];
  burst_t burst;
  count_t ar_waits, r_waits, aw_waits, w_waits, b_waits;
  bit [8*DESCRIPTOR_BYTES-1:0] descriptor;
  bit [63:0] bytes_read;

  always @(posedge aclk) begin
    if (s_axil_awvalid && s_axil_awready) {has_address, write_address} = {1'b1, s_axil_awaddr};
    if (s_axil_wvalid && s_axil_wready) begin
      {has_data, write_data, write_strobes} = {1'b1, s_axil_wdata, s_axil_wstrb};
    end
    if (has_address && has_data) begin
      {has_address, has_data} = '0;
      case (32'({write_address[11:2], 2'b00}))
        MEMORY_BASE_LO: base_low = merged(base_low);
        MEMORY_BASE_HI: base_high = merged(base_high);
        DESCRIPTOR_OFFSET: offset = merged(offset);
        DESCRIPTOR_COUNT: descriptors = merged(descriptors);
        CONTROL:
        if ((merged(0) & START) != 0 && !is_taken) begin
          is_taken = 1'b1;
          table_first = {base_high, base_low} + 64'(offset);
          table_end = table_first + 64'(descriptors) * 64'(DESCRIPTOR_BYTES);
          $fdisplay(file, "%0d start %0h %0h %0d", $time, {base_high, base_low}, offset, descriptors);
        end
        default: ;
      endcase
    end
    if (s_axil_arvalid && s_axil_arready) read_address = s_axil_araddr;
    if (s_axil_rvalid && s_axil_rready) begin
      $fdisplay(file, "%0d register %0h %0d", $time, read_address, s_axil_rdata);
      if (32'(read_address) == STATUS && s_axil_rdata == 0) is_taken = 1'b0;
    end

    // Beats first: what is taken in this cycle is due from the next one on.
    if (reads.size() != 0 && !rvalid) r_waits++;
    if (rvalid && rready && reads.size() != 0) begin
      burst = reads[0];
      descriptor = {rdata, descriptor[8*DESCRIPTOR_BYTES-1:8*BeatBytes]};
      bytes_read += 64'(BeatBytes);
      if (rlast) begin
        burst = reads.pop_front();
        if (burst.address >= table_first && burst.address < table_end && bytes_read == 64'(DESCRIPTOR_BYTES)) begin
          $fdisplay(file, "%0d descriptor %0d %0h", $time,
                    (burst.address - table_first) / 64'(DESCRIPTOR_BYTES), descriptor);
        end
        $fdisplay(file, "%0d reads %0h %0d %0d", $time, burst.address, burst.waits, r_waits);
        {r_waits, bytes_read} = '0;
      end
    end
    if (arvalid && !arready) ar_waits++;
    if (arvalid && arready) begin
      reads.push_back(burst_t'{araddr, ar_waits, 0});
      ar_waits = 0;
    end

    if (answers.size() != 0 && !bvalid) b_waits++;
    if (bvalid && bready && answers.size() != 0) begin
      burst = answers.pop_front();
      $fdisplay(file, "%0d writes %0h %0d %0d %0d", $time, burst.address, burst.waits, burst.data_waits, b_waits);
      b_waits = 0;
    end
    if (writes.size() != 0 && wvalid && !wready) w_waits++;
    if (wvalid && wready && wlast && writes.size() != 0) begin
      burst = writes.pop_front();
      burst.data_waits = w_waits;
      answers.push_back(burst);
      w_waits = 0;
    end
    if (awvalid && !awready) aw_waits++;
    if (awvalid && awready) begin
      writes.push_back(burst_t'{awaddr, aw_waits, 0});
      aw_waits = 0;
    end

    if (!aresetn) begin
      reads.delete();
      writes.delete();
      answers.delete();
      {has_address, has_data, is_taken, ar_waits, r_waits, aw_waits, w_waits, b_waits, bytes_read} = '0;
    end
  end

  final $fclose(file);
endmodule

bind bench_top bus_log log (
    .aclk, .aresetn,
    .s_axil_awaddr, .s_axil_awvalid, .s_axil_awready, .s_axil_wdata, .s_axil_wstrb, .s_axil_wvalid, .s_axil_wready,
    .s_axil_araddr, .s_axil_arvalid, .s_axil_arready, .s_axil_rdata, .s_axil_rvalid, .s_axil_rready,
    .arvalid, .arready, .araddr(64'(araddr)), .rvalid, .rready, .rlast, .rdata,
    .awvalid, .awready, .awaddr(64'(awaddr)), .wvalid, .wready, .wlast, .bvalid, .bready
);
